"""Whoever loses the right to a mailbox loses it now, not when a token ends: sessions that stand are ended too."""
import imaplib
import poplib
import random
import smtplib
import time

from mail_test import MailTest

WITHIN = 1.0  # seconds


class Revocation(MailTest):
    def setUp(self):
        super().setUp()
        if "CTL_CONTEXT" not in self.target.env:
            self.skipTest("the target has no CTL_CONTEXT")

    def ctl(self, *arguments, stdin=b""):
        self.run_program(self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], *arguments, stdin=stdin)

    def submission(self):
        client = smtplib.SMTP(self.target.host, self.target.port("SUBMISSION"), timeout=30)
        self.addCleanup(client.close)
        client.starttls(context=self.tls())
        client.login(self.user, self.target.password)
        self.assertEqual(client.mail(self.user)[0], 250)
        client.rset()
        return client

    def maildrop(self):
        client = poplib.POP3(self.target.host, self.target.port("POP3"), timeout=30)
        self.addCleanup(client.close)
        client.stls(context=self.tls())
        client.user(self.user)
        client.pass_(self.target.password)
        return client

    def idling(self):
        client = self.imap()
        client.select("INBOX")
        client.send(b"x IDLE\r\n")
        self.assertTrue(client.readline().startswith(b"+"))
        return client

    def test_sign_out_ends_every_session(self):
        self.ends_every_session("account", "sign-out", self.user)

    def test_another_password_ends_every_session(self):
        self.ends_every_session("password", "set", self.user, "--password-stdin", stdin=b"quite another one\n")

    def test_a_disabled_account_ends_every_session(self):
        self.ends_every_session("account", "update", self.user, "--disable")

    def test_a_disabled_domain_ends_the_sessions_of_its_people(self):
        domain = f"off-{random.randrange(1 << 40):x}.test"
        self.ctl("domain", "create", domain)
        self.user = "pat@" + domain
        self.ctl("account", "create", self.user, "--password-stdin", stdin=self.target.password.encode() + b"\n")
        self.ends_every_session("domain", "update", domain, "--disable")
        self.ctl("domain", "update", domain, "--enable")
        self.wait_served()

    def wait_served(self):
        """Each edge hears of it in its own time."""
        give_up = time.monotonic() + 10
        while True:
            try:
                return self.assertEqual(self.imap().select("INBOX")[0], "OK")
            except imaplib.IMAP4.error:
                self.assertLess(time.monotonic(), give_up, "the domain's people are not served again")
                time.sleep(0.1)

    def ends_every_session(self, *arguments, stdin=b""):
        self.deliver(b"Subject: one\r\nFrom: <a@sender.test>\r\n\r\nx\r\n")
        reading, idling, submission, maildrop = self.imap(), self.idling(), self.submission(), self.maildrop()
        reading.select("INBOX")
        watching, writing = self.imap(), self.imap()
        other = self.target.account()
        stays = self.imap(other)
        stays.select("INBOX")
        self.ctl(*arguments, stdin=stdin)
        time.sleep(WITHIN)
        idling.sock.settimeout(5)
        self.assertTrue(idling.readline().startswith(b"* BYE"))
        with self.assertRaises((imaplib.IMAP4.error, imaplib.IMAP4.abort)):
            status, _ = reading.fetch("1", "(BODY.PEEK[])")
            self.assertNotEqual(status, "OK")
            raise imaplib.IMAP4.error(status)
        with self.assertRaises(imaplib.IMAP4.abort):
            watching.status("INBOX", "(MESSAGES)")
        with self.assertRaises(imaplib.IMAP4.abort):
            writing.append("INBOX", None, None, b"Subject: late\r\n\r\n")
        with self.assertRaises(poplib.error_proto):
            maildrop.retr(1)
        self.assertIn(submission.mail(self.user)[0], (421, 535))
        self.assertEqual(stays.noop()[0], "OK")
        self.assertEqual(stays.status("INBOX", "(MESSAGES)")[0], "OK")

    def test_a_changed_quota_ends_nothing(self):
        session = self.imap()
        self.ctl("quota", "set", self.user, "--bytes", "1GiB")
        time.sleep(WITHIN)
        self.assertEqual(session.select("INBOX")[0], "OK")
