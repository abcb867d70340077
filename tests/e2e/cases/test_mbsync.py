"""mbsync (isync): two-way synchronisation of messages, flags, deletions and mailboxes."""
import mail_corpus
from mail_test import MailTest


class Mbsync(MailTest):
    programs = ("mbsync",)

    def setUp(self):
        super().setUp()
        (self.folder / "mail").mkdir()
        self.config = self.path("mbsyncrc", f"""IMAPAccount server
Host {self.target.host}
Port {self.target.port("IMAPS")}
User {self.user}
Pass {self.target.password}
SSLType IMAPS
SystemCertificates no
CertificateFile {self.target.ca_file}

IMAPStore far
Account server

MaildirStore near
Path {self.folder}/mail/
Inbox {self.folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
Sync All
SyncState *
""")

    def sync(self):
        return self.run_program("mbsync", "-c", self.config, "-a")

    def near(self, mailbox="INBOX"):
        """file name -> bytes of the local copies."""
        base = self.folder / "mail" / mailbox
        return {path.name: path.read_bytes() for sub in ("cur", "new") for path in (base / sub).glob("*")}

    def test_two_way(self):
        for number in range(5):
            self.deliver(mail_corpus.crlf(mail_corpus.head(f"sync-{number}") + f"\nbody {number}\n"))
        self.sync()
        self.assertEqual(len(self.near()), 5)
        # Near: a new message, a flag, a deletion. Far: a flag, a deletion, a new message. Then both are the same again.
        names = {body.split(b"Subject: ")[1].split(b"\n")[0]: name for name, body in self.near().items()}
        base = self.folder / "mail" / "INBOX"
        self.path("x", "")
        (base / "cur" / "1.new.here:2,S").write_bytes(
            (mail_corpus.head("from-near") + "\nnear\n").encode())
        self.mark(base, names[b"sync-0"], "F")
        self.mark(base, names[b"sync-1"], "T")
        client = self.imap()
        client.select("INBOX")
        client.uid("STORE", "3", "+FLAGS", "(\\Answered)")
        client.uid("STORE", "4", "+FLAGS", "(\\Deleted)")
        client.expunge()
        client.append("INBOX", "(\\Draft)", None, mail_corpus.crlf(mail_corpus.head("from-far") + "\nfar\n"))
        self.sync()
        far = sorted(body.split(b"Subject: ")[1].split(b"\r")[0] for body in self.bodies())
        near = sorted(body.split(b"Subject: ")[1].split(b"\n")[0].strip() for body in self.near().values())
        expected = sorted([b"sync-0", b"sync-2", b"sync-4", b"from-near", b"from-far"])
        self.assertEqual(far, expected)
        self.assertEqual(near, expected)
        client = self.imap()
        client.select("INBOX")
        self.assertEqual(client.uid("SEARCH", "FLAGGED")[1], client.uid("SEARCH", "SUBJECT", "sync-0")[1])
        answered = [name for name, body in self.near().items() if b"sync-2" in body]
        self.assertIn("R", answered[0].split(":2,")[1])
        self.assertEqual(self.sync().stderr, b"")  # nothing left to do, and no complaint

    def mark(self, base, name, flag):
        path = next(iter(list((base / "cur").glob(name)) + list((base / "new").glob(name))))
        stem, _, flags = name.partition(":2,")
        path.rename(base / "cur" / f"{stem}:2,{''.join(sorted(set(flags + flag)))}")

    def test_mailboxes_are_created_both_ways(self):
        client = self.imap()
        client.create("Projects/Pigeon")
        client.append("Projects/Pigeon", None, None, mail_corpus.crlf(mail_corpus.head("deep") + "\nx\n"))
        for sub in ("cur", "new", "tmp"):
            (self.folder / "mail" / "Local" / sub).mkdir(parents=True)
        (self.folder / "mail" / "Local" / "new" / "2.new").write_bytes((mail_corpus.head("local") + "\ny\n").encode())
        self.sync()
        self.assertEqual(len(self.near("Projects/Pigeon")), 1)
        self.assertIn(b"Subject: local", self.bodies(mailbox="Local")[0])

    def test_ten_thousand_octet_lines_and_eight_bit(self):
        sent = dict(mail_corpus.sound())
        client = self.imap()
        for name in ("utf8-body", "latin1-body", "nested-12", "attachment-1M"):
            self.assertEqual(client.append("INBOX", None, None, sent[name])[0], "OK")
        self.sync()
        found = sorted(body.replace(b"\r\n", b"\n") for body in self.without_tuid(self.near().values()))
        self.assertEqual(found, sorted(sent[name].replace(b"\r\n", b"\n") for name in
                                       ("utf8-body", "latin1-body", "nested-12", "attachment-1M")))

    @staticmethod
    def without_tuid(bodies):
        for body in bodies:  # mbsync marks what it copies with a header field of its own
            yield b"\n".join(line for line in body.split(b"\n") if not line.startswith(b"X-TUID: "))
