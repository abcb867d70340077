#!/usr/bin/python3
"""Two cells: accounts of one release in two stores, each with a database and objects of its own.

The instance of ./dev has one store; this adds a second one, tells every other service of it, and looks as people do.
"""
import imaplib
import pathlib
import poplib
import smtplib
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from instance import Instance, free_ports  # noqa: E402
from processes import Processes  # noqa: E402

PASSWORD = "correct horse 7"
LARGE = "".join(f"line {number} of a body that is kept as an object\r\n" for number in range(6000))


class Cells(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.instance = cls.enterClassContext(Instance(services=True, accounts=1))
        if cls.instance.adopted:
            raise unittest.SkipTest("an adopted instance cannot be given a second store")
        cls.target = cls.instance.target
        cls.processes = Processes(cls.instance.state)
        cls.add_cell()
        cls.ctl("account", "create", "north@example.test", "--password-stdin")
        cls.ctl("account", "create", "south@example.test", "--cell", "south", "--password-stdin")
        cls.ctl("alias", "create", "both@example.test", "north@example.test", "south@example.test")

    @classmethod
    def add_cell(cls):
        state, processes = cls.instance.state, cls.processes
        folder = processes.socket_folder()
        database = [str(pathlib.Path(processes.commands["postgres"][0][0]).parent / "psql"), "-h", str(folder), "-U", "postgres",
                    "-qAtX", "-d", "postgres", "-c", "create database south owner merpati_store"]
        password = (state / "secrets" / "password-postgres").read_text().strip()
        subprocess.run(database, check=True, env={"PGPASSWORD": password})
        dsn = state / "secrets" / "dsn-south"
        dsn.write_text((state / "secrets" / "dsn-store").read_text().replace("dbname=merpati", "dbname=south"))
        grpc, http = free_ports(2)
        text = (state / "services" / "store.yaml").read_text()
        own_grpc = cls.instance.offset + 50051 + 6
        for before, after in ((f"port: {processes.http_port('store')}}}", f"port: {http}}}"),
                              (f'"127.0.0.1", port: {own_grpc}}}', f'"127.0.0.1", port: {grpc}}}'),
                              (str(state / "secrets" / "dsn-store"), str(dsn)),
                              (f'objects: {{directory: "{state}/objects"}}',
                               f'objects: {{directory: "{state}/objects-south"}}\n  cell: south')):
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        config = state / "services" / "store-south.yaml"
        config.write_text(text)
        program = processes.commands["store"][0][0]
        subprocess.run([program, "migrate", "--config", str(config)], check=True, stdin=subprocess.DEVNULL)
        processes.commands["store-south"] = ([program, "store", "--config", str(config)], processes.commands["store"][1])
        processes.environments["store-south"] = processes.environments["store"]
        processes.restart("store-south")
        cls.addClassCleanup(processes.kill, "store-south", 15)
        for name in ("smtp", "imap", "pop3", "filter", "queue", "admin"):
            file = state / "services" / f"{name}.yaml"
            file.write_text(file.read_text().replace(
                "peers:\n", f'peers:\n  cells: [{{name: south, store: {{target: "127.0.0.1:{grpc}"}}}}]\n'))
            processes.kill(name, 15)
            processes.restart(name)
        for name in ("store-south", "smtp", "imap", "pop3", "filter", "queue", "admin"):
            processes.wait_ready(name)

    @classmethod
    def ctl(cls, *words):
        env = cls.target.env
        return subprocess.run([env["CTL_PROGRAM"], "--config", env["CTL_CONTEXT"], *words], input=PASSWORD + "\n", text=True,
                              capture_output=True, check=True).stdout

    def send(self, subject, body, *recipients):
        with smtplib.SMTP("127.0.0.1", self.target.port("SMTP"), timeout=60) as client:
            text = f"From: sender@remote.test\r\nDate: Mon, 02 Nov 2026 10:11:12 +0100\r\nSubject: {subject}\r\n\r\n{body}"
            return client.sendmail("sender@remote.test", list(recipients), text)

    def imap(self, user):
        client = imaplib.IMAP4("127.0.0.1", self.target.port("IMAP"))
        self.addCleanup(client.shutdown)
        client.login(user, PASSWORD)
        return client

    def body_of(self, user, subject):
        """Of the one message with this subject."""
        client = self.imap(user)
        client.select("INBOX", readonly=True)
        found = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
        self.assertEqual(len(found), 1, f"{user}: {subject}")
        return client.fetch(found[0], "(BODY.PEEK[TEXT])")[1][0][1].decode()

    def test_one_transaction_reaches_both(self):
        for subject, body in (("small-together", "hello\r\n"), ("large-together", LARGE)):
            with self.subTest(subject):
                self.send(subject, body, "north@example.test", "south@example.test")
                self.assertEqual(self.body_of("north@example.test", subject), body)
                self.assertEqual(self.body_of("south@example.test", subject), body)

    def test_the_first_recipient_may_live_in_the_further_cell(self):
        self.send("south-first", LARGE, "south@example.test", "north@example.test")
        self.assertEqual(self.body_of("north@example.test", "south-first"), LARGE)
        self.assertEqual(self.body_of("south@example.test", "south-first"), LARGE)

    def test_an_alias_reaches_both(self):
        self.send("alias", LARGE, "both@example.test")
        self.assertEqual(self.body_of("north@example.test", "alias"), LARGE)
        self.assertEqual(self.body_of("south@example.test", "alias"), LARGE)

    def test_a_bounce_finds_its_cell(self):
        with smtplib.SMTP("127.0.0.1", self.target.port("SUBMISSION"), timeout=60) as client:
            client.login("south@example.test", PASSWORD)
            client.sendmail("south@example.test", ["nobody@nowhere.invalid"],
                            "From: south@example.test\r\nSubject: never-arrives\r\n\r\nhello\r\n")
        client = self.imap("south@example.test")
        give_up = time.monotonic() + 60
        while not client.select("INBOX")[0] == "OK" or not client.search(None, "BODY", "never-arrives")[1][0]:
            self.assertLess(time.monotonic(), give_up, "no bounce")
            time.sleep(0.2)

    def test_pop3_and_append(self):
        client = self.imap("south@example.test")
        self.assertEqual(client.append("Archive", None, None, LARGE.encode())[0], "OK")
        self.send("popped", "hello\r\n", "south@example.test")
        drop = poplib.POP3("127.0.0.1", self.target.port("POP3"), timeout=60)
        drop.user("south@example.test")
        drop.pass_(PASSWORD)
        messages = [b"\r\n".join(drop.retr(number + 1)[1]) for number in range(len(drop.list()[1]))]
        drop.quit()
        self.assertTrue(any(b"Subject: popped" in message for message in messages))

    def test_an_idle_session_hears_of_mail(self):
        client = self.imap("south@example.test")
        client.select("INBOX")
        client.send(b"a IDLE\r\n")
        self.assertTrue(client.readline().startswith(b"+"))
        self.send("heard", "hello\r\n", "south@example.test")
        client.sock.settimeout(20)
        self.assertIn(b"EXISTS", client.readline())
        client.send(b"DONE\r\n")

    def test_operators_see_both(self):
        for user in ("north@example.test", "south@example.test"):
            self.assertIn("INBOX", self.ctl("mailbox", "list", user))
        self.assertIn("south", self.ctl("account", "get", "south@example.test"))

    def test_the_loss_of_one_is_not_the_others(self):
        north, south = self.imap("north@example.test"), self.imap("south@example.test")
        self.processes.kill("store-south")
        self.send("during", "hello\r\n", "north@example.test")
        self.assertEqual(self.body_of("north@example.test", "during"), "hello\r\n")
        self.assertEqual(north.status("INBOX", "(MESSAGES)")[0], "OK")
        answer = south.status("INBOX", "(MESSAGES)")
        self.assertEqual(answer[0], "NO")
        self.assertIn(b"UNAVAILABLE", answer[1][0])
        with self.assertRaises(smtplib.SMTPDataError) as refused:
            self.send("refused", "hello\r\n", "south@example.test")
        self.assertEqual(refused.exception.smtp_code // 100, 4)
        self.processes.restart("store-south")
        self.processes.wait_ready("store-south")
        self.send("after", "hello\r\n", "south@example.test")
        self.assertEqual(self.body_of("south@example.test", "after"), "hello\r\n")
        self.assertEqual(south.status("INBOX", "(MESSAGES)")[0], "OK")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
