"""msmtp as sendmail: STARTTLS and TLS with our authority checked, and a password from a command."""
import mail_corpus
from mail_test import MailTest


class Msmtp(MailTest):
    programs = ("msmtp",)

    def config(self, port, starttls):
        return self.path("msmtprc", f"""account default
host {self.target.host}
port {self.target.port(port)}
from {self.user}
auth on
user {self.user}
passwordeval "echo {self.target.password}"
tls on
tls_starttls {"on" if starttls else "off"}
tls_trust_file {self.target.ca_file}
""")

    def send(self, port, starttls, check=True):
        other = self.target.account()
        mail = mail_corpus.crlf(mail_corpus.head("by msmtp") + "\nGrüße\n.dot\n").replace(b"\r\n", b"\n")
        mail = mail.replace(b"anna@sender.test", self.user.encode())
        done = self.run_program("msmtp", "-C", self.config(port, starttls), other, stdin=mail, check=check)
        return other, done

    def test_starttls(self):
        other, _ = self.send("SUBMISSION", True)
        self.assertIn("Grüße\r\n.dot\r\n".encode(), self.wait_for_bodies(1, other)[0])

    def test_tls(self):
        other, _ = self.send("SUBMISSIONS", False)
        self.wait_for_bodies(1, other)

    def test_server_information(self):
        done = self.run_program("msmtp", "-C", self.config("SUBMISSION", True), "--serverinfo")
        for word in (b"PIPELINING", b"SIZE", b"AUTH"):
            self.assertIn(word, done.stdout)
