#!/usr/bin/python3
"""What was learnt as spam files mail into Junk: by merpatictl and by moves over IMAP, for an account alone and for all.
"""
import imaplib
import json
import pathlib
import smtplib
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from instance import Instance  # noqa: E402
from processes import Processes  # noqa: E402

LEARN = 8  # messages of each kind, before a model speaks
SPAM = "Cheap pills for sale: buy now, limited offer, wonder drug ships tonight"
HAM = "The minutes of our meeting about the garden are below, see you on Thursday"


def mail(text, number, name="one"):
    return (f"From: Al <al@{name}.sender.test>\r\nMessage-ID: <{name}.{number}@sender.test>\r\nSubject: hello\r\n"
            f"\r\n{text} {number}\r\n")


def mbox(text, count, name):
    return "".join(f"From al@sender.test Mon Jan  1 00:00:00 2024\n{mail(text, i, name)}\n".replace("\r\n", "\n")
                   for i in range(count))


class SpamLearning(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.instance = cls.enterClassContext(Instance(services=True, accounts=7))
        if cls.instance.adopted:
            raise unittest.SkipTest("an adopted instance cannot be given another configuration")
        cls.target = cls.instance.target
        processes = Processes(cls.instance.state)
        file = cls.instance.state / "services" / "filter.yaml"
        text = file.read_text()
        assert text.count("\nfilter:\n") == 1, text
        file.write_text(text.replace(
            "\nfilter:\n", f"\nfilter:\n  bayes: {{min_learnt: {LEARN}, own_min_learnt: {LEARN}, spam_score: 7}}\n"))
        processes.kill("filter", 15)
        processes.restart("filter")
        processes.wait_ready("filter")

    def setUp(self):
        self.user = self.target.account()

    def ctl(self, *words, stdin="", check=True):
        env = self.target.env
        done = subprocess.run([env["CTL_PROGRAM"], "--config", env["CTL_CONTEXT"], *words], input=stdin, text=True,
                              capture_output=True)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def learn(self, kind, text, *whose, name="one", count=LEARN):
        return self.ctl("filter", "learn", kind, *whose, "-", stdin=mbox(text, count, name)).stdout

    def send(self, number, text, *users):
        with smtplib.SMTP("127.0.0.1", self.target.port("SMTP"), timeout=60) as client:
            client.ehlo("sender.test")
            client.mail("al@sender.test")
            for user in users:
                client.rcpt(user)
            code, reply = client.data(mail(text, number, "two").encode())
        self.assertEqual(code, 250, reply)
        return f"two.{number}@sender.test"

    def imap(self, user):
        client = imaplib.IMAP4("127.0.0.1", self.target.port("IMAP"))
        self.addCleanup(client.shutdown)
        client.login(user, self.target.password)
        return client

    def counts(self, user):
        """Of messages in INBOX and Junk."""
        client = self.imap(user)
        return tuple(int(client.select(mailbox, readonly=True)[1][0]) for mailbox in ("INBOX", "Junk"))

    def symbols(self, message_id):
        """{symbol: (points, detail)} of the engine bayes, once it is written: a moment after the reply."""
        give_up = time.monotonic() + 30
        while (done := self.ctl("-o", "json", "filter", "explain", message_id, check=False)).returncode != 0:
            self.assertLess(time.monotonic(), give_up, done.stderr)
            time.sleep(0.2)
        return {symbol["name"]: (symbol["score"], symbol["detail"])
                for verdict in json.loads(done.stdout)["verdicts"] for engine in verdict["verdict"]["engines"]
                if engine["engine"] == "bayes" for symbol in engine.get("symbols", [])}

    def model(self, *whose):
        return json.loads(self.ctl("-o", "json", "filter", "bayes", *whose).stdout)

    def test_an_accounts_own_model_files_its_mail(self):
        other = self.target.account()
        of_user = ("--account", self.user)
        self.send("before", SPAM, self.user)
        self.assertEqual(self.counts(self.user), (1, 0), "nothing was learnt")
        self.assertIn(f"{LEARN} learnt, 0 changed, 0 known already", self.learn("spam", SPAM, *of_user))
        self.assertIn("0 learnt, 0 changed, 8 known already", self.learn("spam", SPAM, *of_user))
        self.assertIn("it judges mail\n", self.learn("ham", HAM, *of_user, name="three"))
        spam = self.send("spam", SPAM, self.user, other)
        ham = self.send("ham", HAM, self.user, other)
        self.assertEqual(self.counts(self.user), (2, 1))
        self.assertEqual(self.counts(other), (2, 0), "another account learnt nothing")
        points, detail = self.symbols(spam)["OWN_BAYES_SPAM"]
        self.assertEqual(points, 6, detail)
        self.assertRegex(detail, r"^spam by (100\.0|99\.\d) %, \d+ clues, for recipient [12]$")
        self.assertIn("OWN_BAYES_HAM", self.symbols(ham))
        self.assertIn("0 learnt, 8 changed, 0 known already", self.learn("forget", SPAM, *of_user))
        model = self.model(*of_user)
        self.assertEqual((model["spam"], model["ham"], model["speaks"]), (0, LEARN, False))
        self.send("again", SPAM, self.user)
        self.assertEqual(self.counts(self.user), (3, 1), "what was taken back says nothing")

    def wait_for_model(self, spam, ham):
        """Moves are learnt behind the command."""
        deadline = time.monotonic() + 60
        while (model := self.model("--account", self.user)) and time.monotonic() < deadline:
            if (model["spam"], model["ham"]) == (spam, ham):
                return model
            time.sleep(0.1)
        self.fail(f"{model}, not {spam} spam and {ham} ham")

    def move(self, client, source, target, what="1:*"):
        self.assertEqual(client.select(source)[0], "OK")
        answer = client._simple_command("MOVE", what, target)
        self.assertEqual(answer[0], "OK", answer)

    def test_moves_teach_the_own_model(self):
        for number in range(LEARN):
            self.send(f"m{number}", SPAM, self.user)
        client = self.imap(self.user)
        self.move(client, "INBOX", "Junk")
        self.wait_for_model(LEARN, 0)
        # Moved back it is good mail, and what was learnt before is taken back.
        self.move(client, "Junk", "INBOX", "1:2")
        self.wait_for_model(LEARN - 2, 2)
        self.move(client, "INBOX", "Junk")
        self.wait_for_model(LEARN, 0)
        self.learn("ham", HAM, "--account", self.user, name="three")
        spam = self.send("after", SPAM, self.user)
        self.assertEqual(self.counts(self.user), (0, LEARN + 1), "what was moved files what is like it")
        self.assertIn("OWN_BAYES_SPAM", self.symbols(spam))
        self.move(client, "Junk", "Trash", "1:2")
        self.move(client, "Junk", "INBOX", "1")
        self.wait_for_model(LEARN - 1, LEARN + 1)

    def test_what_is_appended_to_junk_teaches(self):
        client = self.imap(self.user)
        for number in range(2):
            self.assertEqual(client.append("Junk", None, None, mail(SPAM, number, "four").encode())[0], "OK")
            self.assertEqual(client.append("INBOX", None, None, mail(HAM, number, "four").encode())[0], "OK")
        self.wait_for_model(2, 0)
        # Out of Junk it is good mail, and so the append counts no more.
        self.move(client, "Junk", "INBOX", "1")
        self.wait_for_model(1, 1)

    def test_the_model_of_all_files_for_all(self):
        other = self.target.account()
        self.learn("spam", SPAM, "--global")
        self.learn("ham", HAM, "--global", name="three")
        self.addCleanup(self.learn, "forget", SPAM, "--global")
        self.addCleanup(self.learn, "forget", HAM, "--global", name="three")
        spam = self.send("all", SPAM, self.user, other)
        self.assertEqual(self.counts(self.user), (0, 1))
        self.assertEqual(self.counts(other), (0, 1))
        self.assertEqual(self.symbols(spam)["BAYES_SPAM"][0], 7)

    def test_wrong_usage_is_told(self):
        done = self.ctl("filter", "learn", "spam", "-", stdin=mail(SPAM, 1), check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--account ADDRESS, or --global", done.stderr)
        self.assertEqual(self.ctl("filter", "learn", "spam", "--account", "nobody@example.test", "-", stdin=mail(SPAM, 1),
                                  check=False).returncode, 3)
        self.assertEqual(self.ctl("filter", "learn", "spam", "--global", "-", check=False).returncode, 2, "no message")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
