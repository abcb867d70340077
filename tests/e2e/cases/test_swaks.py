"""swaks: every way to authenticate and to secure a submission, several recipients, attachments."""
from mail_test import MailTest


class Swaks(MailTest):
    programs = ("swaks",)

    def swaks(self, *arguments, port="SMTP", check=True):
        return self.run_program("swaks", "--server", self.target.host, "--port", self.target.port(port), "--helo", "sender.test",
                                *arguments, check=check)

    def login(self, kind):
        return ["--auth", kind, "--auth-user", self.user, "--auth-password", self.target.password, "--from", self.user]

    def test_mx(self):
        self.swaks("--from", "anna@sender.test", "--to", self.user, "--header", "Subject: from swaks", "--body", "hello")
        self.assertIn(b"Subject: from swaks", self.bodies()[0])

    def test_mx_with_tls(self):
        self.swaks("--tls", "--from", "anna@sender.test", "--to", self.user)
        self.assertRegex(self.bodies()[0], rb"(?i)Received: from sender\.test [^;]*with E?SMTPS")

    def test_submission_plain_and_login(self):
        for kind in ("PLAIN", "LOGIN"):
            other = self.target.account()
            self.swaks("--tls", *self.login(kind), "--to", other, port="SUBMISSION")
            found = self.wait_for_bodies(1, other)[0]
            self.assertRegex(found, rb"with ESMTPSA", kind)

    def test_submission_over_tls_from_the_start(self):
        other = self.target.account()
        self.swaks("--tls-on-connect", *self.login("PLAIN"), "--to", other, port="SUBMISSIONS")
        self.wait_for_bodies(1, other)

    def test_several_recipients_and_an_attachment(self):
        others = [self.target.account() for _ in range(5)]
        self.swaks("--from", "anna@sender.test", "--to", ",".join(others), "--attach-type", "image/png", "--attach",
                   "@" + self.path("a.png", bytes(range(256)) * 2000))
        bodies = [self.bodies(other)[0] for other in others]
        self.assertTrue(all(b"image/png" in body for body in bodies))

    def test_an_unknown_recipient_is_refused_at_rcpt(self):
        done = self.swaks("--from", "anna@sender.test", "--to", "nobody-at-all@" + self.target.domain, check=False)
        self.assertEqual(done.returncode, 24, done.stdout)  # no recipient was accepted
        self.assertRegex(done.stdout, rb"<\*\* 550 ")

    def test_a_wrong_password_is_refused(self):
        done = self.swaks("--tls", "--auth", "PLAIN", "--auth-user", self.user, "--auth-password", "wrong", "--from", self.user,
                          "--to", self.user, port="SUBMISSION", check=False)
        self.assertEqual(done.returncode, 28, done.stdout)  # authentication failed
        self.assertRegex(done.stdout, rb"<[*~]\* 535 ")

    def test_a_foreign_sender_address_is_refused(self):
        done = self.swaks("--tls", *self.login("PLAIN")[:-2], "--from", "boss@" + self.target.domain, "--to", self.user,
                          port="SUBMISSION", check=False)
        self.assertIn(done.returncode, (23, 24), done.stdout)  # MAIL or RCPT was refused
        self.assertEqual(self.bodies(), [])

    def test_null_sender_is_accepted_for_bounces(self):
        self.swaks("--from", "<>", "--to", self.user)
        self.assertIn(b"Return-Path: <>", self.bodies()[0])
