#!/usr/bin/python3
"""Milters at each stage of the SMTP dialog: Debian's opendkim, and a program of python3-milter that does what it is told.

usage: milters.py [--services] [TEST ...]
"""
import base64
import imaplib
import json
import pathlib
import re
import signal
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

import not_run  # noqa: E402
from instance import Instance  # noqa: E402
from milters import OpenDkim, RuleMilter, unused_port  # noqa: E402
from processes import PATIENCE, Processes  # noqa: E402
from smtp_sink import Sink  # noqa: E402

try:
    import dkim
    import Milter
except ImportError:
    dkim = Milter = None

SUITE = "milters"
SERVICES = "--services" in sys.argv
DOMAIN = "example.test"
SOON = 30 * PATIENCE  # seconds; nothing is said of how long it takes


def make_key(folder):
    """A private RSA key in PEM, and its record."""
    file = folder / "dkim.pem"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", str(file), "2048"], check=True, capture_output=True)
    file.chmod(0o600)
    der = subprocess.run(["openssl", "rsa", "-in", str(file), "-pubout", "-outform", "DER"], check=True, capture_output=True)
    return file, "v=DKIM1; k=rsa; p=" + base64.b64encode(der.stdout).decode()


def setUpModule():
    global INSTANCE, TARGET, PROCESSES, RULES, MARKED, SIGNER, VERIFIER, SINK, KEY, RECORD
    not_run.need_programs(SUITE, "opendkim", "openssl")
    if Milter is None:
        not_run.not_run(SUITE, "python3-milter or python3-dkim is not installed")
    folder = pathlib.Path(unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="merpati-milters-")))
    folder.chmod(0o755)
    SINK = Sink()
    unittest.addModuleCleanup(SINK.close)
    KEY, RECORD = make_key(folder)
    keys = folder / "keys"
    keys.write_text(f"k._domainkey.{DOMAIN} {RECORD}\nk._domainkey.sender.test {RECORD}\n")
    RULES = RuleMilter(folder / "rules", over="unix")
    unittest.addModuleCleanup(RULES.kill)
    SIGNER = OpenDkim(folder / "signer", "s", DOMAIN, KEY, keys)
    unittest.addModuleCleanup(SIGNER.kill)
    VERIFIER = OpenDkim(folder / "verifier", "v", DOMAIN, KEY, keys)
    unittest.addModuleCleanup(VERIFIER.kill)
    MARKED = unused_port()
    short = {"command": "3s", "content": "3s", "end_of_message": "3s"}
    milters = [
        {"name": "verifier", "address": VERIFIER.address},
        {"name": "rules", "address": RULES.address, "listeners": ["MX", "SUBMISSION"], "timeouts": short,
         "breaker": {"failures": 1000}},
        {"name": "signer", "address": SIGNER.address, "listeners": ["SUBMISSION"]},
        # Nobody listens there.
        {"name": "absent", "address": f"inet:{MARKED}@127.0.0.1", "unchecked": "MARK"},
    ]
    INSTANCE = unittest.enterModuleContext(Instance(services=SERVICES, accounts=60, environment={
        "MERPATI_FILTER__MILTERS": json.dumps(milters),
        "MERPATI_QUEUE__ROUTES": f'["sink.test={SINK.address}:{SINK.port}"]'}))
    if INSTANCE.adopted:
        raise unittest.SkipTest("an adopted instance cannot be given milters")
    TARGET = INSTANCE.target
    PROCESSES = Processes(INSTANCE.state)


class Milters(unittest.TestCase):
    def setUp(self):
        self.user = TARGET.account()

    def connect(self, client="127.0.0.1"):
        return smtplib.SMTP("127.0.0.1", TARGET.port("SMTP"), timeout=60 * PATIENCE, source_address=(client, 0))

    def mail(self, rule=None, body="hello\r\n", more="", subject="first"):
        rules = rule if isinstance(rule, list) else [rule] if rule else []
        head = "".join(f"X-Rule: {one}\r\n" for one in rules)
        return f"From: joe@sender.test\r\nSubject: {subject}\r\n{head}{more}\r\n{body}".encode()

    def send(self, message, sender="joe@sender.test", recipients=None, helo="host.sender.test", client="127.0.0.1"):
        """The last reply, as code and text."""
        with self.connect(client) as smtp:
            code, text = smtp.ehlo(helo)
            if code == 250:
                code, text = smtp.mail(sender)
            for recipient in recipients or [self.user]:
                if code == 250:
                    code, text = smtp.rcpt(recipient)
            if code == 250:
                code, text = self.data(smtp, message)
            return code, text.decode()

    @staticmethod
    def data(smtp, message):
        """The reply to DATA where it is a refusal, else to the message."""
        try:
            return smtp.data(message)
        except smtplib.SMTPDataError as refused:
            return refused.smtp_code, refused.smtp_error

    def mailbox(self, name="INBOX", user=None):
        client = imaplib.IMAP4("127.0.0.1", TARGET.port("IMAP"))
        self.addCleanup(client.shutdown)
        client.login(user or self.user, TARGET.password)
        count = int(client.select(name, readonly=True)[1][0])
        return [client.fetch(str(number + 1), "(BODY.PEEK[])")[1][0][1] for number in range(count)]

    def only(self, name="INBOX", user=None):
        found = self.mailbox(name, user)
        self.assertEqual(len(found), 1, (name, found))
        return found[0]

    def subaddress(self, rule):
        local, domain = self.user.split("@")
        return f"{local}+{rule}@{domain}"

    def revived(self):
        RULES.revive()


class Refusals(Milters):
    """What a milter says is what the client hears, at the stage where it says it."""

    def test_the_connection(self):
        for client, greeting in (("127.0.0.66", b"554 5.7.1 no connections from 66"), ("127.0.0.67", b"421 4.7.1")):
            with self.subTest(client):
                smtp = smtplib.SMTP(timeout=60 * PATIENCE, source_address=(client, 0))
                code, text = smtp.connect("127.0.0.1", TARGET.port("SMTP"))
                self.assertTrue(f"{code} {text.decode()}".encode().startswith(greeting), (code, text))
                smtp.close()

    def test_the_name(self):
        self.assertEqual(self.send(self.mail(), helo="reject.test"), (550, "5.7.1 Command rejected"))
        self.assertEqual(self.send(self.mail(), helo="tempfail.test")[0], 451)
        self.assertEqual(self.send(self.mail(), helo="reply.test"), (450, "4.7.9 not now\n4.7.9 but 100% later"))

    def test_the_sender_and_the_next_one_goes_through(self):
        with self.connect() as smtp:
            smtp.ehlo("host.sender.test")
            self.assertEqual(smtp.mail("reject+a@sender.test")[0], 550)
            self.assertEqual(smtp.mail("own+a@sender.test"), (559, b"5.9.9 refused in words of its own"))
            self.assertEqual(smtp.mail("tempfail+a@sender.test")[0], 451)
            self.assertEqual(smtp.mail("reply+a@sender.test"), (450, b"4.7.9 not now\n4.7.9 but 100% later"))
            self.assertEqual(smtp.mail("joe@sender.test")[0], 250)
            self.assertEqual(smtp.rcpt(self.user)[0], 250)
            self.assertEqual(self.data(smtp, self.mail())[0], 250)
        self.assertEqual(len(self.mailbox()), 1)

    def test_a_recipient_and_not_the_others(self):
        with self.connect() as smtp:
            smtp.ehlo("host.sender.test")
            smtp.mail("joe@sender.test")
            self.assertEqual(smtp.rcpt(self.subaddress("reject"))[0], 550)
            self.assertEqual(smtp.rcpt(self.subaddress("own")), (559, b"5.9.9 refused in words of its own"))
            self.assertEqual(smtp.rcpt(self.subaddress("tempfail"))[0], 451)
            self.assertEqual(smtp.rcpt(self.user)[0], 250)
            self.assertEqual(self.data(smtp, self.mail())[0], 250)
        self.assertEqual(len(self.mailbox()), 1)

    def test_the_message(self):
        self.assertEqual(self.send(self.mail("reject")), (550, "5.7.1 Command rejected"))
        self.assertEqual(self.send(self.mail("tempfail"))[0], 451)
        self.assertEqual(self.send(self.mail("own")), (559, "5.9.9 refused in words of its own"))
        self.assertEqual(self.send(self.mail("reply")), (450, "4.7.9 not now\n4.7.9 but 100% later"))
        self.assertEqual(self.send(self.mail(more="X-Early: own\r\n")), (559, "5.9.9 refused in words of its own"))
        self.assertEqual(self.mailbox(), [])

    def test_discarded_mail_is_accepted_and_gone(self):
        self.assertEqual(self.send(self.mail(), sender="discard+a@sender.test")[0], 250)
        self.assertEqual(self.send(self.mail(), recipients=[self.subaddress("discard")])[0], 250)
        self.assertEqual(self.send(self.mail("discard"))[0], 250)
        self.assertEqual(self.mailbox(), [])

    def test_pipelined_commands_are_answered_in_order(self):
        with self.connect() as smtp:
            smtp.ehlo("host.sender.test")
            lines = ["MAIL FROM:<joe@sender.test>", f"RCPT TO:<{self.subaddress('own')}>", f"RCPT TO:<{self.user}>", "DATA"]
            smtp.send("".join(line + "\r\n" for line in lines))
            self.assertEqual([smtp.getreply()[0] for _ in lines], [250, 559, 250, 354])
            smtp.send(self.mail() + b".\r\nNOOP\r\n")
            self.assertEqual([smtp.getreply()[0] for _ in range(2)], [250, 250])
        self.assertEqual(len(self.mailbox()), 1)


class Changes(Milters):
    def test_headers(self):
        many = "".join(f"X-Many: {number}\r\n" for number in (1, 2, 3))
        rules = ["addheader", "insheader", "chgheader", "delheader", "progress"]
        self.assertEqual(self.send(self.mail(rules, more=many))[0], 250)
        text = self.only().decode()
        header, body = text.split("\r\n\r\n", 1)
        self.assertIn("\r\nSubject: changed\r\n", header)
        self.assertEqual(re.findall(r"^X-Many: (\d)\r$", header, re.M), ["1", "3"])
        self.assertTrue(header.endswith("\r\nX-Added: at the end\r\n\tfolded"), header)
        self.assertLess(header.index("X-Inserted: on top"), header.index("From: joe"))
        self.assertEqual(body, "hello\r\n")

    def test_bodies(self):
        for rule, size in (("replbody", 12 + 202), ("largebody", 72 * 20000)):
            with self.subTest(rule):
                self.user = TARGET.account()
                self.assertEqual(self.send(self.mail(rule, body="old\r\n" * 1000))[0], 250)
                self.assertEqual(len(self.only().split(b"\r\n\r\n", 1)[1]), size)

    def test_a_large_message_is_seen_whole_and_keeps_its_body(self):
        body = ("z" * 70 + "\r\n") * 30000
        self.assertEqual(self.send(self.mail(["addheader"], body=body, subject="large"))[0], 250)
        self.assertEqual(RULES.told("eom")[-1][1], len(body))
        text = self.only()
        self.assertEqual(text.split(b"\r\n\r\n", 1)[1], body.encode())
        self.assertIn(b"\r\nX-Added:", text)

    def test_recipients_and_sender(self):
        other, third = TARGET.account(), TARGET.account()
        rules = [f"addrcpt {other}", f"addrcpt_par {third}"]
        for rule in rules:
            self.assertEqual(self.send(self.mail(rule))[0], 250)
        self.assertEqual([len(self.mailbox(user=user)) for user in (self.user, other, third)], [2, 1, 1])
        self.assertEqual(self.send(self.mail(f"delrcpt {other}"), recipients=[self.user, other])[0], 250)
        self.assertEqual([len(self.mailbox(user=user)) for user in (self.user, other)], [3, 1])
        self.assertEqual(self.send(self.mail(f"delrcpt {self.user}"))[0], 250, "nobody is left, and nobody hears of it")
        self.assertEqual(self.send(self.mail("chgfrom new@sender.test"))[0], 250)
        self.assertIn(b"Return-Path: <new@sender.test>", self.mailbox()[-1])
        self.assertEqual(len(self.mailbox()), 4)

    def test_quarantine_is_junk(self):
        self.assertEqual(self.send(self.mail("quarantine"))[0], 250)
        self.assertEqual((len(self.mailbox()), len(self.mailbox("Junk"))), (0, 1))

    def test_a_reset_is_an_abort(self):
        before = len(RULES.told("abort"))
        with self.connect() as smtp:
            smtp.ehlo("host.sender.test")
            smtp.mail("joe@sender.test", ["SIZE=100"])
            smtp.rcpt(self.user)
            smtp.rset()
            self.assertGreater(len(RULES.wait_told("abort", before + 1)), before)
        self.assertEqual(RULES.told("mail")[-1][1], ["SIZE=100"])

    def test_explain_tells_what_each_said(self):
        code, text = self.send(self.mail("addheader"))
        self.assertEqual(code, 250)
        trace = text.rsplit(" ", 1)[1]
        give_up = time.monotonic() + SOON
        while True:
            done = subprocess.run([TARGET.env["CTL_PROGRAM"], "--config", TARGET.env["CTL_CONTEXT"], "filter", "explain", trace],
                                  capture_output=True, text=True)
            if done.returncode == 0:
                break
            self.assertLess(time.monotonic(), give_up, done.stderr)
            time.sleep(0.2)
        self.assertRegex(done.stdout, r"rules .* end_of_message .* continue .*addheader X-Added")
        self.assertRegex(done.stdout, r"rules .* rcpt .* continue")
        self.assertRegex(done.stdout, r"absent .* mail .* unchecked")
        self.assertRegex(done.stdout, r"verifier .* connect")


class Failures(Milters):
    """Nothing is lost and nothing comes twice, whatever a milter does."""

    def test_one_that_dies(self):
        for stage, arguments in (("mail", {"sender": "die+a@sender.test"}), ("rcpt", {}), ("eom", {})):
            with self.subTest(stage):
                self.user = TARGET.account()
                if stage == "rcpt":
                    arguments = {"recipients": [self.subaddress("die")]}
                message = self.mail("die" if stage == "eom" else None)
                try:
                    self.assertEqual(self.send(message, **arguments)[0], 451)
                    self.assertEqual(self.send(self.mail())[0], 451, "nor does mail go past it while it is away")
                finally:
                    self.revived()
                self.assertEqual(self.send(self.mail())[0], 250)
                self.assertEqual(len(self.mailbox()), 1)

    def test_in_one_session_mail_goes_on_when_it_is_back(self):
        with self.connect() as smtp:
            smtp.ehlo("host.sender.test")
            smtp.mail("joe@sender.test")
            smtp.rcpt(self.user)
            RULES.kill()
            try:
                self.assertEqual(self.data(smtp, self.mail())[0], 451)
                self.assertEqual(smtp.mail("joe@sender.test")[0], 451)
            finally:
                self.revived()
            self.assertEqual(smtp.mail("joe@sender.test")[0], 250)
            self.assertEqual(smtp.rcpt(self.user)[0], 250)
            self.assertEqual(self.data(smtp, self.mail())[0], 250)
        self.assertEqual(len(self.mailbox()), 1)
        self.assertEqual(RULES.told("helo")[-1][0], "host.sender.test", "it was told again what it had missed")

    def test_one_that_hangs(self):
        for stage, arguments in (("mail", {"sender": "hang+a@sender.test"}), ("eom", {})):
            with self.subTest(stage):
                try:
                    self.assertEqual(self.send(self.mail("hang" if stage == "eom" else None), **arguments)[0], 451)
                finally:
                    self.revived()
        self.assertEqual(self.send(self.mail())[0], 250)
        self.assertEqual(len(self.mailbox()), 1)

    @unittest.skipUnless(SERVICES, "the filter is no process of its own")
    def test_a_filter_that_is_killed_in_the_dialog(self):
        with self.connect() as smtp:
            smtp.ehlo("host.sender.test")
            smtp.mail("joe@sender.test")
            self.assertEqual(smtp.rcpt(self.user)[0], 250)
            PROCESSES.kill("filter", signal.SIGKILL)
            try:
                self.assertEqual(self.data(smtp, self.mail())[0], 451)
            finally:
                PROCESSES.restart("filter")
                PROCESSES.wait_ready("filter")
            give_up = time.monotonic() + SOON
            while (code := smtp.mail("joe@sender.test")[0]) != 250:
                self.assertEqual(code, 451)
                self.assertLess(time.monotonic(), give_up)
                time.sleep(0.2)
            smtp.rcpt(self.user)
            self.assertEqual(self.data(smtp, self.mail("addheader"))[0], 250)
        self.assertIn(b"X-Added", self.only())


class RealOpenDkim(Milters):
    def submit(self, message, recipient):
        with smtplib.SMTP("localhost", TARGET.port("SUBMISSION"), timeout=60 * PATIENCE) as smtp:
            context = ssl.create_default_context(cafile=TARGET.ca_file or None)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            smtp.starttls(context=context)
            smtp.login(self.user, TARGET.password)
            smtp.mail(self.user)
            self.assertEqual(smtp.rcpt(recipient)[0], 250)
            return smtp.data(message)

    def key_record(self, name, timeout=5):
        return RECORD.encode()

    def test_it_signs_what_is_submitted(self):
        address = f"{self.user.split('@')[0]}@sink.test"
        message = f"From: {self.user}\r\nSubject: signed\r\n\r\nexactly  this\r\n".encode()
        self.assertEqual(self.submit(message, address)[0], 250)
        give_up = time.monotonic() + SOON
        while not SINK.messages[address] and time.monotonic() < give_up:
            time.sleep(0.05)
        came = SINK.messages[address][0]
        self.assertIn(b"DKIM-Signature:", came)
        self.assertTrue(dkim.verify(came, dnsfunc=self.key_record), came)
        self.assertIn(b"Message-ID:", came)
        told = RULES.told("helo")[-1]
        self.assertIn("TLS", told[1].get("{tls_version}", ""), told)
        self.assertEqual(RULES.told("mail")[-1][2].get("{auth_authen}"), self.user)

    def test_it_verifies_what_comes(self):
        signed = dkim.sign(self.mail(subject="good"), b"k", b"sender.test", KEY.read_bytes())
        self.assertEqual(self.send(signed + self.mail(subject="good"))[0], 250)
        results = self.results(self.only())
        self.assertIn("dkim=pass", results)
        self.user = TARGET.account()
        self.assertEqual(self.send(signed + self.mail(subject="good", body="forged\r\n"))[0], 250)
        self.assertIn("dkim=fail", self.results(self.only()))

    def results(self, message):
        text = re.sub(r"\r?\n[ \t]+", " ", message.decode())
        found = [line for line in re.findall(r"^Authentication-Results: (.*?)\r?$", text, re.M) if "opendkim" in line.lower()
                 or "header.b=" in line or "reason=" in line]
        self.assertTrue(found, message)
        return " ".join(found)

    def test_forged_results_are_gone_before_it_adds_its_own(self):
        forged = "Authentication-Results: mail.example.test; dkim=pass header.d=bank.test\r\n"
        self.assertEqual(self.send(self.mail(more=forged))[0], 250)
        self.assertNotIn(b"bank.test", self.only())


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--services"]
    not_run.main()
