"""curl as a mail client: smtp, smtps, imap, imaps, pop3, pop3s."""
import mail_corpus
from mail_test import MailTest


class Curl(MailTest):
    programs = ("curl",)

    def curl(self, url, *arguments, stdin=b"", check=True):
        ca = ["--cacert", self.target.ca_file] if self.target.ca_file else []
        return self.run_program("curl", "-sS", "--max-time", "60", *ca, *arguments, url, stdin=stdin, check=check)

    def url(self, scheme, port, path=""):
        return f"{scheme}://{self.target.host}:{self.target.port(port)}/{path}"

    def login(self):
        return ["-u", f"{self.user}:{self.target.password}"]

    def mail(self, name="curl"):
        return mail_corpus.crlf(mail_corpus.head(name) + "\nby curl\n")

    def test_mx_then_imap_and_pop3_without_tls(self):
        self.need_plaintext_login()
        sent = self.mail()
        self.curl(self.url("smtp", "SMTP", "sender.test"), "--mail-from", "anna@sender.test", "--mail-rcpt", self.user,
                  "--upload-file", self.path("m", sent))
        found = self.curl(self.url("imap", "IMAP", "INBOX;MAILINDEX=1"), *self.login()).stdout
        self.assert_same_mail(found, sent)
        found = self.curl(self.url("pop3", "POP3", "1"), *self.login()).stdout
        self.assert_same_mail(found, sent)

    def test_mx_with_starttls(self):
        sent = self.mail()
        self.curl(self.url("smtp", "SMTP", "sender.test"), "--ssl-reqd", "--mail-from", "anna@sender.test", "--mail-rcpt",
                  self.user, "--upload-file", self.path("m", sent))
        self.assert_same_mail(self.bodies()[0], sent)

    def test_submission_with_starttls_and_with_tls(self):
        other = self.target.account()
        for number, (scheme, port, extra) in enumerate((("smtp", "SUBMISSION", ["--ssl-reqd"]), ("smtps", "SUBMISSIONS", []))):
            submit = [self.url(scheme, port, "sender.test"), *extra, *self.login(), "--mail-from", self.user, "--mail-rcpt", other,
                      "--upload-file"]
            mail = self.mail(f"submitted-{number}").replace(b"anna@sender.test", self.user.encode())
            self.curl(*submit, self.path("m", mail))
            forged = self.curl(*submit, self.path("f", self.mail("forged")), check=False)
            self.assertNotEqual(forged.returncode, 0, "the author in the header is somebody else")
        found = self.wait_for_bodies(2, other)
        self.assertIn(b"Subject: submitted-1", found[1])

    def test_imap_with_tls_lists_appends_and_searches(self):
        sent = self.mail("appended")
        listed = self.curl(self.url("imaps", "IMAPS"), *self.login()).stdout
        self.assertIn(b"INBOX", listed)
        self.curl(self.url("imaps", "IMAPS", "Drafts"), *self.login(), "--upload-file", self.path("m", sent))
        found = self.curl(self.url("imaps", "IMAPS", "Drafts;UID=1"), *self.login()).stdout
        self.assertEqual(found, sent)
        hits = self.curl(self.url("imaps", "IMAPS", "Drafts?SUBJECT%20appended"), *self.login()).stdout
        self.assertEqual(hits.strip(), b"* SEARCH 1")
        header = self.curl(self.url("imaps", "IMAPS", "Drafts;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)"), *self.login()).stdout
        self.assertEqual(header, b"Subject: appended\r\n\r\n")

    def test_imap_and_pop3_with_starttls(self):
        self.deliver(self.mail())
        found = self.curl(self.url("imap", "IMAP", "INBOX;MAILINDEX=1"), "--ssl-reqd", *self.login()).stdout
        self.assertIn(b"by curl", found)
        found = self.curl(self.url("pop3", "POP3", "1"), "--ssl-reqd", *self.login()).stdout
        self.assertIn(b"by curl", found)

    def test_pop3_with_tls_lists_and_deletes(self):
        for number in range(3):
            self.deliver(self.mail(f"pop-{number}"))
        listed = self.curl(self.url("pop3s", "POP3S"), *self.login()).stdout
        self.assertEqual(len(listed.splitlines()), 3)
        self.curl(self.url("pop3s", "POP3S", "2"), *self.login(), "-X", "DELE", "-l")
        subjects = [body.split(b"Subject: ")[1].split(b"\r\n")[0] for body in self.bodies()]
        self.assertEqual(subjects, [b"pop-0", b"pop-2"])

    def test_wrong_password(self):
        for scheme, port in (("imaps", "IMAPS"), ("pop3s", "POP3S")):
            done = self.curl(self.url(scheme, port), "-u", f"{self.user}:wrong", check=False)
            self.assertEqual(done.returncode, 67, done.stderr)  # CURLE_LOGIN_DENIED

    def test_no_relay(self):
        done = self.curl(self.url("smtp", "SMTP", "sender.test"), "--mail-from", "anna@sender.test", "--mail-rcpt",
                         "someone@elsewhere.test", "--upload-file", self.path("m", self.mail()), check=False)
        self.assertEqual(done.returncode, 55, done.stderr)  # CURLE_SEND_ERROR: RCPT was refused
        self.assertEqual(self.bodies(), [])
