"""Python's imaplib, poplib and smtplib."""
import imaplib
import poplib
import re
import smtplib
import socket
import threading
import time

import mail_corpus
from mail_test import MailTest


def simple(name):
    return mail_corpus.crlf(mail_corpus.head(name) + f"\nbody of {name}\n")


class Smtplib(MailTest):
    def test_what_is_offered(self):
        with smtplib.SMTP(self.target.host, self.target.port("SMTP")) as client:
            client.ehlo("x.test")
            for name in ("pipelining", "8bitmime", "enhancedstatuscodes", "starttls", "smtputf8", "chunking", "size"):
                self.assertTrue(client.has_extn(name), name)
            self.assertFalse(client.has_extn("auth"))
            client.starttls(context=self.tls())
            client.ehlo("x.test")
            self.assertFalse(client.has_extn("starttls"))

    def test_submission(self):
        other = self.target.account()
        with smtplib.SMTP(self.target.host, self.target.port("SUBMISSION")) as client:
            client.starttls(context=self.tls())
            client.login(self.user, self.target.password)
            refused = client.sendmail(self.user, [other, "nobody-at-all@" + self.target.domain],
                                      b"From: " + self.user.encode() + b"\r\nSubject: bare\r\n\r\nno date\r\n")
        self.assertEqual(list(refused), ["nobody-at-all@" + self.target.domain])
        found = self.wait_for_bodies(1, other)[0]
        self.assertRegex(found, rb"\r\nDate: ")
        self.assertRegex(found, rb"\r\nMessage-I[Dd]: <[^>]+>")

    def test_many_in_one_session_and_reset(self):
        with smtplib.SMTP(self.target.host, self.target.port("SMTP")) as client:
            client.ehlo("sender.test")
            client.mail("anna@sender.test")
            client.rcpt(self.user)
            client.rset()
            for number in range(20):
                client.sendmail("anna@sender.test", [self.user], simple(f"many-{number}"))
        self.assertEqual(len(self.bodies()), 20)

    def test_smtputf8_sender(self):
        with smtplib.SMTP(self.target.host, self.target.port("SMTP")) as client:
            client.ehlo("sender.test")
            client.sendmail("jürgen@sender.test", [self.user], simple("utf8"), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        self.assertIn("Return-Path: <jürgen@sender.test>\r\n".encode(), self.bodies()[0])

    def test_too_large_is_refused_before_the_body(self):
        with smtplib.SMTP(self.target.host, self.target.port("SMTP")) as client:
            client.ehlo("sender.test")
            limit = int(client.esmtp_features["size"])
            code, _ = client.mail("anna@sender.test", [f"SIZE={limit + 1}"])
            self.assertEqual(code, 552)


class Imaplib(MailTest):
    def test_starttls_and_login_rules(self):
        client = imaplib.IMAP4(self.target.host, self.target.port("IMAP"))
        self.addCleanup(self.close_imap, client)
        client.starttls(ssl_context=self.tls())
        client.login(self.user, self.target.password)
        self.assertEqual(client.noop()[0], "OK")
        other = imaplib.IMAP4_SSL(self.target.host, self.target.port("IMAPS"), ssl_context=self.tls())
        self.addCleanup(self.close_imap, other)
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            other.login(self.user, "wrong")
        client.logout()

    def test_append_fetch_store_copy_expunge(self):
        client = self.imap()
        self.assertEqual(client.create("Work")[0], "OK")
        for number in range(4):
            status, answer = client.append("INBOX", "(\\Seen $Label)" if number == 0 else None, None, simple(f"a-{number}"))
            self.assertEqual(status, "OK")
            self.assertRegex(answer[0], rb"APPENDUID \d+ %d\]" % (number + 1))
        self.assertEqual(client.select("INBOX")[1], [b"4"])
        flags = client.fetch("1", "(FLAGS UID RFC822.SIZE INTERNALDATE)")[1][0]
        self.assertIn(b"\\Seen", flags)
        self.assertIn(b"$Label", flags)
        self.assertIn(b"RFC822.SIZE %d" % len(simple("a-0")), flags)
        self.assertEqual(client.uid("COPY", "2:3", "Work")[0], "OK")
        self.assertEqual(client.store("2", "+FLAGS.SILENT", "(\\Deleted)")[0], "OK")
        self.assertEqual(client.expunge()[1], [b"2"])
        self.assertEqual(client.uid("SEARCH", "ALL")[1], [b"1 3 4"])
        self.assertEqual(client.uid("SEARCH", "UNSEEN", "SUBJECT", '"a-3"')[1], [b"4"])
        self.assertEqual(client.uid("SEARCH", "BODY", '"body of a-2"')[1], [b"3"])
        self.assertEqual(client.select("Work")[1], [b"2"])
        part = client.fetch("1", "(BODY.PEEK[TEXT]<5.2> BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        self.assertEqual(part[0][1], b"of")
        self.assertEqual(part[1][1], b"Subject: a-1\r\n\r\n")

    def test_move(self):
        client = self.imap()
        client.append("INBOX", None, None, simple("moved"))
        client.select("INBOX")
        self.assertEqual(client.uid("MOVE", "1", "Trash")[0], "OK")
        self.assertEqual(self.bodies(), [])
        self.assertEqual(self.bodies(mailbox="Trash"), [simple("moved")])

    def test_mailbox_tree(self):
        client = self.imap()
        for name in ("A", "A/B", "A/B/C", '"Entw&APw-rfe"'):
            self.assertEqual(client.create(name)[0], "OK", name)
        self.assertEqual(client.rename("A/B", "Z/Y")[0], "OK")
        names = {re.search(rb' "?([^" ]+)"?$', line).group(1) for line in client.list()[1]}
        self.assertTrue({b"INBOX", b"A", b"Z/Y", b"Z/Y/C", b"Entw&APw-rfe"} <= names, names)
        self.assertNotIn(b"A/B", names)
        special = b" ".join(client.list('""', "*")[1])
        for use in (b"\\Drafts", b"\\Sent", b"\\Junk", b"\\Trash"):
            self.assertIn(use, special)
        self.assertEqual(client.subscribe("A")[0], "OK")
        self.assertTrue(any(line.endswith(b"A") or line.endswith(b'"A"') for line in client.lsub()[1]))
        self.assertEqual(client.delete("Z/Y/C")[0], "OK")
        self.assertEqual(client.select("Z/Y/C")[0], "NO")
        status = client.status("INBOX", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")[1][0]
        self.assertRegex(status, rb"MESSAGES 0\b")

    def test_idle_sees_new_mail_soon(self):
        client = self.imap()
        client.select("INBOX")
        client.send(b"i1 IDLE\r\n")
        self.assertTrue(client.readline().startswith(b"+"))
        start = threading.Timer(0.2, self.deliver, [simple("idle")])
        start.start()
        client.sock.settimeout(10)
        began = time.monotonic()
        line = client.readline()
        while b"EXISTS" not in line:
            line = client.readline()
        self.assertLess(time.monotonic() - began, 5)
        client.send(b"DONE\r\n")
        start.join()

    def test_two_sessions_see_each_other(self):
        one, two = self.imap(), self.imap()
        one.append("INBOX", None, None, simple("shared"))
        one.select("INBOX")
        two.select("INBOX")
        one.store("1", "+FLAGS", "(\\Flagged)")
        two.noop()
        self.assertIn(b"\\Flagged", two.fetch("1", "(FLAGS)")[1][0])
        one.store("1", "+FLAGS", "(\\Deleted)")
        one.expunge()
        two.noop()
        self.assertEqual(two.search(None, "ALL")[1], [b""])

    def test_what_was_acknowledged_is_there_for_the_next_select(self):
        for number in range(5):
            self.deliver(simple(f"fresh-{number}"))
            self.assertEqual(len(self.bodies()), number + 1)


class Poplib(MailTest):
    def pop(self, tls=True):
        if tls:
            client = poplib.POP3_SSL(self.target.host, self.target.port("POP3S"), context=self.tls(), timeout=30)
        else:
            client = poplib.POP3(self.target.host, self.target.port("POP3"), timeout=30)
        self.addCleanup(self.close_pop, client)
        return client

    @staticmethod
    def close_pop(client):
        try:
            client.close()
        except OSError:
            pass

    def login(self, client):
        client.user(self.user)
        client.pass_(self.target.password)
        return client

    def test_reads_and_deletes_at_quit(self):
        for number in range(3):
            self.deliver(simple(f"p-{number}"))
        client = self.login(self.pop())
        count, size = client.stat()
        self.assertEqual(count, 3)
        sizes = [int(line.split()[1]) for line in client.list()[1]]
        self.assertEqual(sum(sizes), size)
        body = b"\r\n".join(client.retr(1)[1]) + b"\r\n"
        self.assertEqual(len(body), sizes[0])
        self.assert_same_mail(body, simple("p-0"))
        uids = [line.split()[1] for line in client.uidl()[1]]
        self.assertEqual(len(set(uids)), 3)
        self.assertEqual(len([line for line in client.top(2, 0)[1] if line.startswith(b"body")]), 0)
        client.dele(2)
        client.quit()
        client = self.login(self.pop())
        self.assertEqual([line.split()[1] for line in client.uidl()[1]], [uids[0], uids[2]])
        client.quit()

    def test_a_lost_connection_deletes_nothing(self):
        self.deliver(simple("kept"))
        client = self.login(self.pop())
        client.dele(1)
        client.sock.shutdown(socket.SHUT_RDWR)
        client.close()
        give_up = time.monotonic() + 20
        while True:
            try:
                self.assertEqual(self.login(self.pop()).stat()[0], 1)
                break
            except poplib.error_proto:  # [IN-USE] until the server has noticed
                self.assertLess(time.monotonic(), give_up)
                time.sleep(0.2)

    def test_one_session_at_a_time(self):
        first = self.login(self.pop())
        second = self.pop()
        second.user(self.user)
        with self.assertRaisesRegex(poplib.error_proto, "IN-USE"):
            second.pass_(self.target.password)
        first.quit()
        self.login(self.pop()).quit()

    def test_stls_and_capabilities(self):
        client = self.pop(tls=False)
        self.assertIn("STLS", client.capa())
        client.stls(context=self.tls())
        capabilities = client.capa()
        for name in ("TOP", "UIDL", "RESP-CODES", "PIPELINING", "UTF8", "SASL"):
            self.assertIn(name, capabilities)
        self.login(client).quit()

    def test_dots_and_unicode_come_back_exactly(self):
        corpus = dict(mail_corpus.sound())
        for name in ("dots", "utf8-body", "white-space"):
            self.deliver(corpus[name])
        client = self.login(self.pop())
        for number, name in enumerate(("dots", "utf8-body", "white-space"), start=1):
            self.assert_same_mail(b"\r\n".join(client.retr(number)[1]) + b"\r\n", corpus[name], name)
        client.quit()
