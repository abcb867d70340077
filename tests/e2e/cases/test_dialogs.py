"""The IMAP and POP3 dialogs of tests/protocol against the whole system, and its IMAP answers beside Dovecot's."""
import pathlib
import sys

import not_run
from mail_test import MailTest

PROTOCOL = pathlib.Path(__file__).resolve().parents[2] / "protocol"


class Dialogs(MailTest):
    programs = ("openssl",)

    def setUp(self):
        super().setUp()
        self.need_plaintext_login()

    def test_imap(self):
        for dialog in sorted((PROTOCOL / "imap").glob("*.txt")):
            with self.subTest(dialog.stem):
                self.run_program(sys.executable, PROTOCOL / "run_dialog.py", "--host", self.target.host, "--port", f"imap={self.target.port('IMAP')}",
                                 "--port", f"imaps={self.target.port('IMAPS')}", "--var", f"user={self.target.account()}",
                                 "--var", f"pass={self.target.password}", dialog)

    def test_pop3(self):
        account = self.target.account()
        for dialog in sorted((PROTOCOL / "pop3").glob("*.txt")):
            with self.subTest(dialog.stem):
                self.run_program(sys.executable, PROTOCOL / "run_dialog.py", "--host", self.target.host, "--port", f"pop3={self.target.port('POP3')}",
                                 "--port", f"pop3s={self.target.port('POP3S')}", "--port", f"imap={self.target.port('IMAP')}", "--var", f"user={account}",
                                 "--var", f"pass={self.target.password}", dialog)

    def test_imap_answers_as_dovecot_does(self):
        not_run.need_programs("e2e", "dovecot")
        done = self.run_program(sys.executable, PROTOCOL / "imap_against_dovecot.py", "--port", self.target.port("IMAP"), "--user", self.user,
                                "--password", self.target.password, "--dovecot-port", 24100, check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout.decode(errors="replace")[-4000:] + done.stderr.decode(errors="replace")[-2000:])
