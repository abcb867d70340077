#!/usr/bin/python3
"""What the filter's scores lead to: Junk, a temporary refusal, a refusal; that limits hold whatever the weights; what its own
looks at content, attachments and senders lead to; that domains and accounts have thresholds of their own; and that who is not
known is asked to come again.

The filter of the instance is given weights, and looked at as people do.
"""
import email.message
import imaplib
import io
import json
import os
import pathlib
import smtplib
import subprocess
import sys
import tarfile
import time
import unittest
import zipfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from instance import Instance  # noqa: E402
from processes import Processes  # noqa: E402

GOOD = "From: sender@remote.test\r\nSubject: good\r\n\r\nhello\r\n"
NO_FROM = "Subject: from nobody\r\n\r\nhello\r\n"
TWO_SUBJECTS = "From: sender@remote.test\r\nSubject: one\r\nSubject: two\r\n\r\nhello\r\n"


def zipped(name, content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def tarred(name, content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def with_attachment(name, content):
    mail = email.message.EmailMessage()
    mail["From"] = "sender@remote.test"
    mail["Subject"] = name
    mail.set_content("see what is attached\n")
    mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n")).decode()


class Filtering(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.instance = cls.enterClassContext(Instance(services=True, accounts=8))
        if cls.instance.adopted:
            raise unittest.SkipTest("an adopted instance cannot be given other weights")
        cls.target = cls.instance.target
        cls.processes = Processes(cls.instance.state)
        cls.file = cls.instance.state / "services" / "filter.yaml"
        cls.original = cls.file.read_text()

    def configure(self, thresholds, weights, more=""):
        assert self.original.count("\nfilter:\n") == 1, self.original
        self.file.write_text(self.original.replace(
            "\nfilter:\n", f"\nfilter:\n  thresholds: {thresholds}\n  weights: [{weights}]\n{more}"))
        self.processes.kill("filter", 15)
        self.processes.restart("filter")
        self.processes.wait_ready("filter")

    def ctl(self, *words, expect=0, stdin=None, token=None):
        env = {**os.environ, "MERPATI_TOKEN": token} if token else None
        done = subprocess.run([self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], *words], input=stdin,
                              env=env, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, expect, (words, done.stdout, done.stderr))
        return done

    def send(self, users, text, sender="sender@remote.test"):
        with smtplib.SMTP("127.0.0.1", self.target.port("SMTP"), timeout=60) as client:
            client.ehlo("sender.test")
            client.mail(sender)
            for user in [users] if isinstance(users, str) else users:
                client.rcpt(user)
            return client.data(text.encode())

    def explain(self, identifier):
        """What the operator is told, once it is written: a moment after the reply."""
        give_up = time.monotonic() + 30
        while True:
            done = subprocess.run([self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], "filter",
                                   "explain", identifier], capture_output=True, text=True, timeout=60, check=False)
            if done.returncode == 0:
                return done.stdout
            self.assertLess(time.monotonic(), give_up, (identifier, done.stdout, done.stderr))
            time.sleep(0.2)

    def count(self, user, mailbox):
        client = imaplib.IMAP4("127.0.0.1", self.target.port("IMAP"))
        self.addCleanup(client.shutdown)
        client.login(user, self.target.password)
        answer = client.select(mailbox, readonly=True)
        self.assertEqual(answer[0], "OK", answer)
        return int(answer[1][0])

    def test_a_score_files_into_junk(self):
        user = self.target.account()
        self.configure("{junk: 6}", "{symbol: NO_FROM, score: 6}")
        self.assertEqual(self.send(user, NO_FROM)[0], 250)
        self.assertEqual(self.send(user, GOOD)[0], 250)
        self.assertEqual((self.count(user, "INBOX"), self.count(user, "Junk")), (1, 1))
        code, text = self.send(user, TWO_SUBJECTS)
        self.assertEqual(code, 550, "what has no weight is refused as ever")
        self.assertIn(b"more than one Subject", text)
        self.assertEqual(self.send(user, "Received: from a by b\r\n" * 51 + NO_FROM)[0], 554, "a loop is not weighed")
        self.assertEqual((self.count(user, "INBOX"), self.count(user, "Junk")), (1, 1))

    def test_a_score_refuses_for_now_and_for_good(self):
        user = self.target.account()
        self.configure("{junk: 1, temporary: 2, refuse: 3}",
                       "{symbol: NO_FROM, score: 2}, {symbol: DUPLICATE_FIELD, score: 3}")
        code, text = self.send(user, NO_FROM)
        self.assertEqual((code, text[:5]), (451, b"4.7.1"))
        code, text = self.send(user, TWO_SUBJECTS)
        self.assertEqual((code, text[:5]), (550, b"5.7.1"))
        self.assertEqual((self.count(user, "INBOX"), self.count(user, "Junk")), (0, 0))

    def test_who_comes_again_is_let_in(self):
        user, other = self.target.account(), self.target.account()
        self.configure("{junk: 6}", "{symbol: NO_FROM, score: 4}",
                       "  greylist: {enabled: true, delay: 1s, own_networks: [none]}\n")
        self.assertEqual(self.send(user, GOOD)[0], 250, "its score is below the threshold")
        deadline = time.monotonic() + 60
        code, text = self.send(user, NO_FROM)
        self.assertEqual(code, 451, text)
        self.assertRegex(text, rb"^4\.7\.1 Greylisted: .* try again in 1 second$")
        while code == 451 and time.monotonic() < deadline:
            time.sleep(0.1)
            code, text = self.send(user, NO_FROM)
        self.assertEqual(code, 250, text)
        self.assertRegex(self.explain(text.decode().split()[-1]), "GREYLIST_PASSED .*remote.test came again after")
        self.assertEqual(self.send(other, NO_FROM, "another@remote.test")[0], 250, "client and domain are known now")
        self.assertEqual(self.send(other, NO_FROM, "sender@elsewhere.test")[0], 451)
        self.assertEqual((self.count(user, "INBOX"), self.count(other, "INBOX")), (2, 1))

    def test_what_became_of_earlier_mail_counts(self):
        user = self.target.account()
        self.configure("{junk: 4}", "{symbol: NO_FROM, score: 4}",
                       "  reputation: {enabled: true, min_messages: 2, own_networks: [none]}\n")
        for _ in range(3):
            self.assertEqual(self.send(user, NO_FROM, "bad@remote.test")[0], 250)
        deadline, told = time.monotonic() + 60, ""
        while "SENDER_REPUTATION" not in told and time.monotonic() < deadline:
            code, text = self.send(user, GOOD, "bad@remote.test")
            self.assertEqual(code, 250, text)
            told = self.explain(text.decode().split()[-1])
        self.assertRegex(told, r"SENDER_REPUTATION .*bad@remote.test from 127.0.0.0/24: .* 3.0 junk, 0.0 refused")
        self.assertRegex(told, r"ADDRESS_REPUTATION .*127.0.0.0/24: ")
        self.assertEqual(self.count(user, "Junk"), 3)

    def test_domains_and_accounts_have_their_own_thresholds(self):
        domain = f"d{os.getpid()}.policy.test"
        here, there, other = self.target.account(), f"anna@{domain}", f"ben@{domain}"
        self.ctl("domain", "create", domain)
        for user in (there, other):
            self.ctl("account", "create", user, "--password-stdin", stdin=self.target.password + "\n")
        made = self.ctl("-o", "json", "token", "create", f"policy-{os.getpid()}", "--role", "domain-admin", "--domain", domain)
        token = json.loads(made.stdout)["secret"]
        self.configure("{junk: 6, refuse: 15}", "{symbol: NO_FROM, score: 7}")
        shown = self.ctl("filter", "policy", "set", "--domain", domain, "junk=10", "SPF_FAIL=3").stdout
        self.assertRegex(shown, r"junk +10 +domain\n")
        self.assertRegex(shown, r"refuse +15 +configuration\n")
        self.assertRegex(shown, r"NO_FROM +7 +configuration\n")

        code, text = self.send([here, there], NO_FROM)
        self.assertEqual(code, 250, text)
        self.assertEqual((self.count(here, "Junk"), self.count(there, "INBOX")), (1, 1))
        told = self.explain(text.decode().split()[-1])
        self.assertIn(f"recipient 1 <{here}>: junk, 7 points (junk from 6, refused from 15)\n", told)
        self.assertIn(f"recipient 2 <{there}>: accept, 7 points (junk from 10, refused from 15); junk 10 by its domain\n", told)
        self.assertRegex(told, r"NO_FROM +7 \(configuration\)")

        # Only what all refuse is refused.
        self.ctl("filter", "policy", "set", "--account", there, "junk=5", "refuse=7")
        code, text = self.send(there, NO_FROM)
        self.assertEqual((code, text[:5]), (550, b"5.7.1"))
        code, text = self.send([there, other], NO_FROM)
        self.assertEqual(code, 250, text)
        self.assertEqual((self.count(there, "Junk"), self.count(other, "INBOX")), (1, 1))
        self.assertIn("junk, since not all refuse it, 7 points (junk from 5, refused from 7)",
                      self.explain(text.decode().split()[-1]))

        # Nobody's mail is dropped but who wants it.
        self.ctl("filter", "policy", "set", "--account", other, "junk=5", "refuse=never", "discard=7")
        code, text = self.send(other, NO_FROM)
        self.assertEqual(code, 250, text)
        self.assertEqual((self.count(other, "INBOX"), self.count(other, "Junk")), (1, 0))
        identifier = text.decode().split()[-1]
        self.assertIn("discard, 7 points", self.explain(identifier))
        give_up, traced = time.monotonic() + 30, ""
        while "discarded " not in traced and time.monotonic() < give_up:
            traced = self.ctl("trace", identifier).stdout
        self.assertRegex(traced, rf"discarded +{other} .*7 points, discarded from 7 on")
        self.ctl("filter", "policy", "unset", "--account", other, "--all")
        self.assertEqual(self.send(other, NO_FROM)[0], 250)
        self.assertEqual(self.count(other, "INBOX"), 2)

        # Who may, and what may be set.
        self.ctl("filter", "policy", "set", "--account", there, "junk=4", token=token)
        self.ctl("filter", "policy", "show", "--domain", domain, token=token)
        self.ctl("filter", "policy", "set", "--account", here, "junk=4", token=token, expect=5)
        self.ctl("filter", "policy", "show", token=token, expect=5)

        def listed(*words, **how):
            rows = json.loads(self.ctl("-o", "json", "filter", "policy", "list", *words, **how).stdout)
            return {row["domain"] or row["address"]: {value["key"]: value["value"] for value in row["values"]} for row in rows}
        self.ctl("filter", "policy", "set", "--account", here, "junk=5")
        mine = {domain: {"junk": 10, "SPF_FAIL": 3}, there: {"junk": 4, "refuse": 7}}
        self.assertEqual(listed(domain), mine)
        self.assertEqual(listed(token=token), mine, "a domain admin sees its own")
        everybodys = listed()
        self.assertLessEqual({*mine, here}, set(everybodys))
        self.assertEqual(everybodys[there], mine[there])
        self.assertRegex(self.ctl("filter", "policy", "list", domain).stdout, rf"{there} +junk=4, refuse=7")
        self.ctl("filter", "policy", "list", here.split("@")[1], token=token, expect=5)
        self.ctl("filter", "policy", "unset", "--account", here, "--all")
        self.assertNotIn(here, listed())
        self.ctl("filter", "policy", "list", "nowhere.policy.test", expect=3)
        done = self.ctl("filter", "policy", "set", "--domain", domain, "NO_FORM=1", expect=2)
        self.assertIn("similar: NO_FROM", done.stderr)
        done = self.ctl("filter", "policy", "set", "--domain", domain, "junk=20", expect=2)
        self.assertIn("refuse is from 15 (of the configuration) on", done.stderr)
        self.assertIn("--domain DOMAIN or --account", self.ctl("filter", "policy", "set", "junk=5", expect=2).stderr)
        self.ctl("filter", "policy", "set", "--domain", "nowhere.policy.test", "junk=5", expect=3)

    def test_attachments_are_what_their_content_is(self):
        user = self.target.account()
        self.configure("{junk: 6}", "")
        program = b"MZ" + bytes(58) + b"\x80" + bytes(67) + b"PE\0\0" + bytes(200)
        code, text = self.send(user, with_attachment("holiday.jpg", program))
        self.assertEqual((code, text[:5]), (554, b"5.7.1"))
        self.assertIn(b"a program: holiday.jpg", text)
        code, text = self.send(user, with_attachment("papers.zip", zipped("papers/invoice.scr", b"anything")))
        self.assertEqual(code, 554)
        self.assertIn(b"papers.zip: papers/invoice.scr", text)
        large = tarred("inner.zip", zipped("x.vbs", os.urandom(100_000)))
        self.assertEqual(self.send(user, with_attachment("all.tar.gz", large))[0], 554)
        bomb = zipped("zeros", bytes(60 << 20))
        self.assertLess(len(bomb), 100_000)
        code, text = self.send(user, with_attachment("42.zip", bomb))
        self.assertEqual(code, 554)
        self.assertIn(b"unpacks without end", text)
        self.assertEqual(self.send(user, with_attachment("notes.tar.gz", tarred("notes.txt", b"hello")))[0], 250)
        self.assertEqual(self.send(user, with_attachment("setup.iso", b"anything"))[0], 250)
        self.assertEqual((self.count(user, "INBOX"), self.count(user, "Junk")), (1, 1))

    def test_lists_of_attachments_and_senders_and_weights_of_links(self):
        user = self.target.account()
        self.configure("{junk: 6}", "{symbol: URL_TEXT_MISMATCH, score: 6}",
                       "  attachments: {refuse: [.step], junk: [none]}\n"
                       "  senders: {junk: ['*.ads.test'], refuse: [evil.test]}\n")
        self.assertEqual(self.send(user, with_attachment("part.STEP", b"x"))[0], 554)
        self.assertEqual(self.send(user, with_attachment("setup.iso", b"x"))[0], 250)
        self.assertEqual(self.send(user, "From: a@evil.test\r\n\r\nhello\r\n")[0], 550)
        self.assertEqual((self.count(user, "INBOX"), self.count(user, "Junk")), (1, 0))
        self.assertEqual(self.send(user, "From: a@b.ads.test\r\n\r\nhello\r\n")[0], 250)
        self.assertEqual(self.send(user, "From: a@remote.test\r\nContent-Type: text/html\r\n\r\n"
                                   "<a href='http://evil.example.net/'>www.bank.com</a>\r\n")[0], 250)
        self.assertEqual((self.count(user, "INBOX"), self.count(user, "Junk")), (1, 2))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
