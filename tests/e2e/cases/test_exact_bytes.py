"""What is read back is what was received: sound and broken mail, signatures, and bodies up to 30 MB."""
import base64
import hashlib
import poplib
import smtplib
import tempfile

import mail_corpus
import not_run
from mail_test import MailTest, without_trace


class ExactBytes(MailTest):
    def through(self, name, message):
        """By SMTP in and IMAP out; the bytes behind the trace fields."""
        user = self.target.account()
        self.deliver(message, user, options=["BODY=8BITMIME"])
        found = self.bodies(user)
        self.assertEqual(len(found), 1, name)
        self.assert_same_mail(found[0], message, name)
        return without_trace(found[0])

    def test_sound_mail(self):
        user = self.target.account()
        self.compare(user, list(mail_corpus.sound()))

    def test_broken_mail(self):
        user = self.target.account()
        self.compare(user, list(mail_corpus.broken()))

    def compare(self, user, corpus):
        for _, message in corpus:
            self.deliver(message, user, options=["BODY=8BITMIME"])
        found = self.bodies(user)
        self.assertEqual(len(found), len(corpus))
        for (name, message), body in zip(corpus, found):
            with self.subTest(name):
                self.assert_same_mail(body, message, name)

    def test_every_message_has_envelope_and_structure(self):
        user = self.target.account()
        corpus = list(mail_corpus.sound()) + list(mail_corpus.broken())
        client = self.imap(user)
        for name, message in corpus:
            status, answer = client.append("INBOX", None, None, message)
            self.assertEqual(status, "OK", (name, answer))
        client.select("INBOX")
        status, answer = client.fetch("1:*", "(RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
        self.assertEqual(status, "OK")
        text = b"".join(part if isinstance(part, bytes) else b"".join(part) for part in answer)
        for what in (b"RFC822.SIZE", b"ENVELOPE", b"BODYSTRUCTURE"):
            self.assertGreaterEqual(text.count(what), len(corpus), what)
        for number, (name, message) in enumerate(corpus, start=1):
            with self.subTest(name):
                header, body = message.partition(b"\r\n\r\n")[::2]
                parts = client.fetch(str(number), "(BODY.PEEK[HEADER] BODY.PEEK[TEXT])")[1]
                together = b"".join(part[1] for part in parts if isinstance(part, tuple))
                self.assertEqual(together, message)

    def test_smime_signature_stays_good(self):
        not_run.need_programs("e2e", "openssl")
        message, authority = mail_corpus.smime(self.folder)
        self.assertTrue(mail_corpus.verify_smime(message, authority))
        self.assertTrue(mail_corpus.verify_smime(self.through("smime", message), authority))

    def test_pgp_signature_stays_good(self):
        not_run.need_programs("e2e", "gpg")
        with tempfile.TemporaryDirectory(prefix="gpg-") as home:
            message = mail_corpus.pgp(home)
            self.assertTrue(mail_corpus.verify_pgp(message, home))
            self.assertTrue(mail_corpus.verify_pgp(self.through("pgp", message), home))

    def test_thirty_megabytes(self):
        message = mail_corpus.attachment("attachment-30M", 22_000_000)
        self.assertGreater(len(message), 29_000_000)
        self.through("attachment-30M", message)

    def test_a_part_of_a_large_body_alone(self):
        message = mail_corpus.attachment("attachment-5M", 4_000_000)
        self.deliver(message)
        client = self.imap()
        client.select("INBOX")
        part = client.fetch("1", "(BODY.PEEK[2])")[1][0][1]
        start = message.index(b'filename="data.bin"\r\n\r\n') + len(b'filename="data.bin"\r\n\r\n')
        expected = message[start:message.index(b"\r\n--b--", start)]
        self.assertEqual(hashlib.sha256(part).hexdigest(), hashlib.sha256(expected).hexdigest())
        some = client.fetch("1", "(BODY.PEEK[2]<1000000.5000>)")[1][0][1]
        self.assertEqual(some, expected[1_000_000:1_005_000])

    def test_binary_mail_is_raw_to_binary_alone(self):
        for size in (2_000, 400_000):
            octets = bytes(i * 31 % 256 for i in range(size))
            head = (b"From: Anna <anna@sender.test>\r\nSubject: binary\r\nMIME-Version: 1.0\r\n"
                    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: ")
            message = head + b"binary\r\n\r\n" + octets
            user = self.target.account()
            with smtplib.SMTP(self.target.host, self.target.port("SMTP"), timeout=60) as client:
                client.ehlo("sender.test")
                self.assertEqual(client.mail("anna@sender.test", ["BODY=BINARYMIME"])[0], 250)
                self.assertEqual(client.rcpt(user)[0], 250)
                client.send(b"BDAT %d LAST\r\n" % len(message) + message)
                self.assertEqual(client.getreply()[0], 250)
            encoded = b"".join(base64.b64encode(octets[i:i + 57]) + b"\r\n" for i in range(0, size, 57))
            shown = head + b"base64\r\n\r\n" + encoded
            client = self.imap(user)
            client.select("INBOX")
            whole = client.fetch("1", "(BODY.PEEK[])")[1][0][1]
            self.assert_same_mail(whole, shown, "shown")
            self.assertIn(b"RFC822.SIZE %d)" % len(whole), client.fetch("1", "(RFC822.SIZE)")[1][0])
            self.assertEqual(client.fetch("1", "(BINARY.PEEK[1])")[1][0][1], octets)
            self.assertEqual(without_trace(client.fetch("1", "(BINARY.PEEK[])")[1][0][1]), message)
            pop = poplib.POP3_SSL(self.target.host, self.target.port("POP3S"), context=self.tls(), timeout=30)
            pop.user(user)
            pop.pass_(self.target.password)
            self.assertEqual(int(pop.list(1).split()[2]), len(whole))
            self.assertEqual(b"".join(line + b"\r\n" for line in pop.retr(1)[1]), whole)
            pop.quit()
