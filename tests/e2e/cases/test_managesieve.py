"""ManageSieve: the dialogs of tests/protocol, sieve-connect, and what the filter does with a script that was put."""
import pathlib
import sys
import time

import not_run
from mail_test import MailTest
from managesieve import ManageSieve, Refused

PROTOCOL = pathlib.Path(__file__).resolve().parents[2] / "protocol"
FILED = 'require ["fileinto", "mailbox"];\nif header :contains "Subject" "invoice" { fileinto :create "Invoices"; }\n'


class Sieve(MailTest):
    def client(self, user=None):
        client = ManageSieve(self.target.host, self.target.port("SIEVE"), context=self.tls())
        self.addCleanup(client.close)
        client.login(user or self.user, self.target.password)
        return client

    def test_dialogs(self):
        not_run.need_programs("e2e", "openssl")
        self.need_plaintext_login()
        for dialog in sorted((PROTOCOL / "managesieve").glob("*.txt")):
            with self.subTest(dialog.stem):
                self.run_program(sys.executable, PROTOCOL / "run_dialog.py", "--host", self.target.host, "--port",
                                 f"sieve={self.target.port('SIEVE')}", "--var", f"user={self.target.account()}",
                                 "--var", f"pass={self.target.password}", dialog)

    def test_a_large_script_comes_back_as_it_was_put(self):
        script = b"# \xc3\xa4 {5+}\r\n" + b"# filler\r\n" * 20000 + b"keep;"
        client = self.client()
        try:
            client.put("large", script)
        except Refused as refused:
            self.assertIn("QUOTA/MAXSIZE", str(refused))
            script = script[-40000:]
            client.put("large", b"#" + script)
            script = b"#" + script
        self.assertEqual(client.get("large"), script)

    def test_what_one_session_puts_another_sees(self):
        self.client().put("one", "keep;")
        self.assertEqual(self.client().scripts(), {"one": False})
        self.assertEqual(self.client(self.target.account()).scripts(), {}, "another person's")

    def test_an_active_script_sorts_the_next_message(self):
        client = self.client()
        client.put("filed", FILED)
        message = b"From: <a@sender.test>\r\nSubject: %s\r\n\r\nx\r\n"
        self.deliver(message % b"invoice 1")
        client.activate("filed")
        self.deliver(message % b"invoice 2")
        self.deliver(message % b"other")
        client.activate("")
        self.deliver(message % b"invoice 3")
        self.assertEqual((len(self.bodies()), len(self.bodies(mailbox="Invoices"))), (3, 1))

    def test_another_password_ends_the_session(self):
        if "CTL_CONTEXT" not in self.target.env:
            self.skipTest("the target has no CTL_CONTEXT")
        client, other = self.client(), self.client(self.target.account())
        self.assertEqual(client.scripts(), {})
        self.run_program(self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], "password", "set", self.user,
                         "--password-stdin", stdin=b"quite another one\n")
        give_up = time.monotonic() + 10
        with self.assertRaisesRegex(Refused, "BYE"):
            while time.monotonic() < give_up:
                client.scripts()
                time.sleep(0.05)
        self.assertEqual(other.scripts(), {})


class SieveConnect(MailTest):
    programs = ("sieve-connect",)

    def sieve(self, *arguments, password=None, check=True):
        return self.run_program("sieve-connect", "--nosrv", "--server", self.target.host, "--port", self.target.port("SIEVE"),
                                "--user", self.user, "--tlscafile", self.target.ca_file, "--passwordfd", 0, *arguments,
                                stdin=(password or self.target.password).encode(), check=check)

    def test_a_scripts_life(self):
        script = self.path("filed.sieve", FILED)
        self.sieve("--checkscript", "--localsieve", script)
        self.sieve("--upload", "--localsieve", script, "--remotesieve", "filed")
        self.sieve("--activate", "--remotesieve", "filed")
        listed = self.sieve("--list").stdout.decode()
        self.assertIn('"filed" ACTIVE', listed)
        self.sieve("--download", "--remotesieve", "filed", "--localsieve", self.path("back.sieve"))
        self.assertEqual(pathlib.Path(self.path("back.sieve")).read_text().replace("\r\n", "\n"), FILED)
        self.assertNotEqual(self.sieve("--delete", "--remotesieve", "filed", check=False).returncode, 0, "it is active")
        self.sieve("--deactivate")
        self.sieve("--delete", "--remotesieve", "filed")
        self.assertNotIn("filed", self.sieve("--list").stdout.decode())

    def test_a_wrong_script_is_not_taken(self):
        script = self.path("wrong.sieve", "require \"fileinto\";\nfilein \"x\";\n")
        done = self.sieve("--upload", "--localsieve", script, "--remotesieve", "wrong", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"line 2", done.stdout + done.stderr)
        self.assertNotIn("wrong", self.sieve("--list").stdout.decode())

    def test_every_mechanism(self):
        for mechanism in ("PLAIN", "LOGIN"):
            with self.subTest(mechanism):
                self.sieve("--authmech", mechanism, "--list")
        self.assertNotEqual(self.sieve("--list", password="wrong", check=False).returncode, 0)
