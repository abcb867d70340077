"""fetchmail: collects by IMAP and POP3, keeps or deletes, and sees nothing twice."""
import mail_corpus
from mail_test import MailTest


class Fetchmail(MailTest):
    programs = ("fetchmail",)

    def fetch(self, protocol, port, *options, ssl=True, expected=0):
        tls = f"ssl sslproto 'TLS1.2+' sslcertck sslcertfile {self.target.ca_file}" if ssl else "sslproto ''"
        # A mail program of our own: one file a message.
        mda = self.path("mda", f"#!/bin/sh\ncat > $(mktemp {self.folder}/got-XXXXXX)\n", 0o755)
        config = self.path("rc", f"poll {self.target.host} protocol {protocol} port {self.target.port(port)} auth password "
                                 f"uidl user \"{self.user}\" password \"{self.target.password}\" {tls} mda \"{mda}\" "
                                 f"{' '.join(options)}\n".replace(" uidl ", " uidl " if protocol == "POP3" else " "))
        done = self.run_program("fetchmail", "-f", config, "-i", self.folder / "ids", "--pidfile", self.folder / "pid",
                                "--nosyslog", "-v", check=False)
        self.assertEqual(done.returncode, expected, done.stdout[-2000:] + done.stderr[-2000:])
        return [path.read_bytes() for path in sorted(self.folder.glob("got-*"))]

    def deliver_some(self, count):
        for number in range(count):
            self.deliver(mail_corpus.crlf(mail_corpus.head(f"fetch-{number}") + f"\nbody {number}\n.\n"))

    def test_imap_deletes_what_it_fetched(self):
        self.deliver_some(3)
        got = self.fetch("IMAP", "IMAPS")
        self.assertEqual(len(got), 3)
        self.assertEqual(self.bodies(), [])
        self.fetch("IMAP", "IMAPS", expected=1)  # nothing new

    def test_pop3_deletes_what_it_fetched(self):
        self.deliver_some(3)
        got = self.fetch("POP3", "POP3S")
        self.assertEqual(len(got), 3)
        self.assertTrue(any(b"body 2\n.\n" in body for body in got))
        self.assertEqual(self.bodies(), [])

    def test_pop3_keeps_and_knows_by_uidl(self):
        self.deliver_some(2)
        self.assertEqual(len(self.fetch("POP3", "POP3S", "keep")), 2)
        self.fetch("POP3", "POP3S", "keep", expected=1)
        self.deliver_some(1)
        self.assertEqual(len(self.fetch("POP3", "POP3S", "keep")), 3)
        self.assertEqual(len(self.bodies()), 3)

    def test_without_tls(self):
        self.need_plaintext_login()
        self.deliver_some(1)
        self.assertEqual(len(self.fetch("POP3", "POP3", ssl=False)), 1)
