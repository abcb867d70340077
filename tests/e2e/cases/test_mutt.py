"""mutt without a person: reads, moves, flags and deletes over IMAP by scripted keys, and sends by SMTP."""
import mail_corpus
from mail_test import MailTest


class Mutt(MailTest):
    programs = ("mutt", "script")

    def config(self):
        user = self.user.replace("@", "%40")
        return self.path("muttrc", f"""set ssl_ca_certificates_file="{self.target.ca_file}"
set ssl_force_tls=yes
set imap_user="{self.user}"
set imap_pass="{self.target.password}"
set folder="imaps://{self.target.host}:{self.target.port("IMAPS")}/"
set spoolfile="+INBOX"
set record="+Sent"
set postponed="+Drafts"
set from="{self.user}"
set realname="Mutt User"
set smtp_url="smtps://{user}@{self.target.host}:{self.target.port("SUBMISSIONS")}/"
set smtp_pass="{self.target.password}"
# GNU SASL as Debian 12 has it chooses SCRAM-SHA-256-PLUS and then finds that mutt gives it no tls-exporter.
set smtp_authenticators="scram-sha-256:plain"
set header_cache=""
set wait_key=no
set confirmappend=no
set confirmcreate=no
set delete=yes
set move=no
set mark_old=no
set beep=no
set mail_check=0
set sort=mailbox-order
set send_charset="utf-8"
""")

    def keys(self, keys, mailbox="INBOX"):
        command = f"exec mutt -F {self.config()} -f 'imaps://{self.target.host}:{self.target.port('IMAPS')}/{mailbox}' -e 'push \"{keys}\"'"
        # A terminal is what mutt insists on.
        return self.run_program("script", "-qec", f"stty rows 40 cols 120; {command}", "/dev/null", env={"TERM": "xterm"})

    def test_flags_copies_and_deletes(self):
        for number in range(4):
            self.deliver(mail_corpus.crlf(mail_corpus.head(f"mutt-{number}") + f"\nbody {number}\n"))
        # First: flag. Second: save to Archive. Third: delete. Fourth: read.
        self.keys("1<enter><flag-message>2<enter><save-message>=Archive<enter>3<enter><delete-message>"
                  "4<enter><display-message><exit><sync-mailbox><quit>")
        client = self.imap()
        client.select("INBOX")
        subjects = [body.split(b"Subject: ")[1].split(b"\r")[0] for body in self.bodies(client=client)]
        self.assertEqual(subjects, [b"mutt-0", b"mutt-3"])
        client.select("INBOX")
        self.assertEqual(client.search(None, "FLAGGED")[1], [b"1"])
        self.assertIn(b"2", client.search(None, "SEEN")[1][0].split())
        self.assertEqual(len(self.bodies(mailbox="Archive")), 1)

    def test_sends_with_an_attachment_and_keeps_a_copy(self):
        other = self.target.account()
        data = bytes(range(256)) * 500
        self.run_program("mutt", "-F", self.config(), "-s", "Grüße von mutt", "-a", self.path("file.bin", data), "--", other,
                         stdin="Körper\n".encode())
        found = self.wait_for_bodies(1, other)[0]
        self.assertIn(b"file.bin", found)
        copies = self.bodies(mailbox="Sent")
        self.assertEqual(len(copies), 1)
        self.assertIn(b"file.bin", copies[0])
