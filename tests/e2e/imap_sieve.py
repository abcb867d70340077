#!/usr/bin/python3
"""The operator's Sieve scripts for what people do over IMAP (RFC 6785): a move, a flag and an append have effects.

usage: imap_sieve.py [--services] [TEST ...]

The instance's queue delivers sink.test to a server of the test, which plays the remote hosts.
"""
import email
import imaplib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from instance import Instance  # noqa: E402
from smtp_sink import Sink  # noqa: E402

SERVICES = "--services" in sys.argv
SCRIPTS = {
    "done": ("Done", ["COPY"], 'require ["imapsieve", "environment", "imap4flags", "fileinto", "copy", "mailbox"];\n'
             'if environment "imap.cause" "COPY" {\n'
             '  fileinto :copy :create "Copies";\n'
             '  addflag "$done";\n'
             '}\n'),
    "action": ("INBOX", ["FLAG"], 'require ["imapsieve", "environment", "imap4flags", "copy"];\n'
               'if allof (hasflag "\\\\Flagged", environment :contains "imap.changedflags" "\\\\Flagged") {\n'
               '  redirect :copy "actions@sink.test";\n'
               '}\n'),
    "drop": ("Drop", ["APPEND"], 'require "imapsieve"; discard;\n'),
}


def mail(subject):
    return f"From: al@sink.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@sink.test>\r\n\r\ntext\r\n".encode()


class ImapSieve(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        folder = cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="merpati-imapsieve-")))
        folder.chmod(0o755)
        entries = []
        for name, (mailbox, causes, source) in SCRIPTS.items():
            file = folder / f"{name}.sieve"
            file.write_text(source)
            entries.append({"mailbox": mailbox, "causes": causes, "script": str(file)})
        cls.instance = cls.enterClassContext(Instance(services=SERVICES, accounts=4, environment={
            "MERPATI_QUEUE__ROUTES": f'["sink.test={cls.sink.address}:{cls.sink.port}"]',
            "MERPATI_FILTER__SIEVE__IMAP": json.dumps(entries)}))
        if cls.instance.adopted:
            raise unittest.SkipTest("an adopted instance cannot be given another configuration")
        cls.target = cls.instance.target

    def setUp(self):
        self.user = self.target.account()
        self.client = self.imap()
        for mailbox in ("Done", "Drop"):
            self.assertEqual(self.client.create(mailbox)[0], "OK")

    def imap(self):
        client = imaplib.IMAP4("127.0.0.1", self.target.port("IMAP"))
        self.addCleanup(client.shutdown)
        client.login(self.user, self.target.password)
        return client

    def messages(self, mailbox):
        """(flags, subject) of each; none when there is no such mailbox."""
        client = self.imap()
        if client.select(mailbox, readonly=True)[0] != "OK":
            return []
        found = []
        for uid in client.search(None, "ALL")[1][0].split():
            row = client.fetch(uid, "(FLAGS BODY.PEEK[])")[1][0]
            flags = {flag.decode() for flag in imaplib.ParseFlags(row[0])} - {"\\Recent"}
            found.append((flags, str(email.message_from_bytes(row[1])["Subject"])))
        return found

    def append(self, mailbox, subject, flags=None):
        self.assertEqual(self.client.append(mailbox, flags, None, mail(subject))[0], "OK")

    def test_a_move_sets_a_flag_and_files_a_copy(self):
        self.append("INBOX", "report", "(\\Seen)")
        self.client.select("INBOX")
        self.assertEqual(self.client._simple_command("MOVE", "1", "Done")[0], "OK")
        self.assertEqual(self.messages("Done"), [({"\\Seen", "$done"}, "report")])
        self.assertEqual(self.messages("Copies"), [({"\\Seen"}, "report")])
        self.assertEqual(self.messages("INBOX"), [])
        # What the script filed is no event, nor is an append one that it is meant for.
        self.append("Done", "appended")
        self.assertEqual(self.messages("Done")[1], (set(), "appended"))
        self.assertEqual(len(self.messages("Copies")), 1)

    def test_a_flag_sends_the_message_on(self):
        self.append("INBOX", "task")
        self.client.select("INBOX")
        self.assertEqual(self.client.store("1", "+FLAGS", "(\\Seen)")[0], "OK")
        self.assertEqual(self.client.store("1", "+FLAGS", "(\\Flagged)")[0], "OK")
        self.assertEqual(self.messages("INBOX"), [({"\\Seen", "\\Flagged"}, "task")])
        for _ in range(600):
            with self.sink.lock:
                found = list(self.sink.messages["actions@sink.test"])
            if found:
                break
            time.sleep(0.05)
        self.assertEqual([str(email.message_from_bytes(each)["Subject"]) for each in found], ["task"])

    def test_a_script_is_tried_without_effects(self):
        def actions(*words):
            done = subprocess.run(
                [self.target.env["CTL_PROGRAM"], "-o", "json", "sieve", "test", str(self.folder / "action.sieve"), "-",
                 "--imap-event", "FLAG", "--imap-mailbox", "Work", *words],
                input=mail("task").decode(), text=True, capture_output=True, check=True)
            return [(each["action"], each["what"]) for each in json.loads(done.stdout)["actions"]]

        self.assertEqual(actions("--flag", "\\Flagged", "--changed-flag", "\\Flagged"),
                         [("redirect", "actions@sink.test"), ("keep (implicit)", "Work [\\Flagged]")])
        self.assertEqual(actions("--changed-flag", "\\Flagged"), [("keep (implicit)", "Work")])

    def test_what_is_discarded_is_marked(self):
        self.append("Drop", "useless")
        self.assertEqual(self.messages("Drop"), [({"\\Deleted"}, "useless")])


if __name__ == "__main__":
    unittest.main(argv=[each for each in sys.argv if each != "--services"], verbosity=2, warnings="ignore")
