#!/usr/bin/python3
"""Who sent it: mail that python3-dkim signs and seals, with SPF, keys and DMARC records from a DNS server on loopback.

The instance takes nobody for its own, so that the tests, which come from 127.0.0.1, are mail from outside.
"""
import base64
import imaplib
import json
import pathlib
import re
import smtplib
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

import not_run  # noqa: E402
from dns_server import DnsServer  # noqa: E402
from instance import Instance, free_ports  # noqa: E402
from smtp_sink import Sink  # noqa: E402

try:
    import dkim
except ImportError:
    dkim = None

SUITE = "mail_authentication"
RECORDS = {
    "good.test": "v=spf1 ip4:127.0.0.1 -all",
    "bad.test": "v=spf1 ip4:192.0.2.1 -all",
    "_dmarc.good.test": "v=DMARC1; p=reject",
    "_dmarc.bad.test": "v=DMARC1; p=reject",
    "_dmarc.doubtful.test": "v=DMARC1; p=quarantine",
    "1.0.0.127.in-addr.arpa": "no name, but it exists",
}


def make_key(folder):
    """A private RSA key in PEM and its record."""
    file = folder / "dkim.pem"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", str(file), "2048"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "rsa", "-in", str(file), "-pubout", "-outform", "DER"], check=True, capture_output=True)
    return file.read_bytes(), "v=DKIM1; k=rsa; p=" + base64.b64encode(der.stdout).decode()


def mail(sender, subject, body="hello\r\n", more=""):
    return f"{more}From: {sender}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@mail.test>\r\n\r\n{body}".encode()


class MailAuthentication(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if dkim is None:
            not_run.not_run(SUITE, "python3-dkim is not installed")
        port = cls.dns_port = free_ports(1)[0]
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.instance = Instance(services=True, accounts=20, environment={
            "MERPATI_FILTER__DNS_SERVERS": f'["127.0.0.1@{port}"]',
            "MERPATI_FILTER__MAIL_AUTHENTICATION__OWN_NETWORKS": '["none"]',
            "MERPATI_FILTER__MAIL_AUTHENTICATION__LOOKUP_TIME": "2s",
            "MERPATI_FILTER__MAIL_AUTHENTICATION__TRUSTED_SEALERS": '["list.test"]',
            "MERPATI_QUEUE__ROUTES": f'["sink.test={cls.sink.address}:{cls.sink.port}"]',
            "MERPATI_FILTER__ARC__DOMAIN": "example.test",
            "MERPATI_FILTER__ARC__SELECTOR": "k",
        })
        if cls.instance.adopted:
            raise unittest.SkipTest("an adopted instance cannot be given another DNS")
        cls.key, record = make_key(cls.instance.state)
        cls.instance.environment["MERPATI_FILTER__ARC__KEY_FILE"] = str(cls.instance.state / "dkim.pem")
        domains = ("good.test", "bad.test", "list.test", "stranger.test", "example.test")
        keys = {f"k._domainkey.{domain}": record for domain in domains}
        cls.dns = DnsServer(port, texts={**RECORDS, **keys})
        cls.addClassCleanup(cls.dns.stop)
        cls.enterClassContext(cls.instance)
        cls.target = cls.instance.target

    def send(self, user, sender, message):
        with smtplib.SMTP("127.0.0.1", self.target.port("SMTP"), timeout=60) as client:
            client.ehlo("mail.sender.test")
            client.mail(sender)
            client.rcpt(user)
            return client.data(message)

    def read(self, user, mailbox):
        """The newest message, header unfolded."""
        client = imaplib.IMAP4("127.0.0.1", self.target.port("IMAP"))
        self.addCleanup(client.shutdown)
        client.login(user, self.target.password)
        count = int(client.select(mailbox, readonly=True)[1][0])
        self.assertGreater(count, 0, mailbox)
        octets = client.fetch(str(count), "(BODY.PEEK[])")[1][0][1].decode()
        return re.sub(r"\r\n[ \t]+", " ", octets)

    def results(self, text):
        """Our own Authentication-Results, without its name."""
        found = re.findall(r"^Authentication-Results: mail\.example\.test;(.*)\r$", text, re.M)
        self.assertEqual(len(found), 1, text)
        return found[0]

    def sign(self, domain, message):
        return dkim.sign(message, b"k", domain.encode(), self.key, canonicalize=(b"relaxed", b"simple")) + message

    def test_signed_mail_passes_and_forged_results_go(self):
        user = self.target.account()
        forged = "Authentication-Results: mail.example.test; dkim=pass header.d=bank.test\r\n"
        other = "Authentication-Results: elsewhere.test; spf=pass\r\n"
        message = self.sign("good.test", mail("joe@good.test", "signed", more=forged + other))
        self.assertEqual(self.send(user, "joe@good.test", message)[0], 250)
        text = self.read(user, "INBOX")
        results = self.results(text)
        for part in ("spf=pass smtp.mailfrom=joe@good.test", "dkim=pass header.d=good.test", "dmarc=pass header.from=good.test",
                     "arc=none", "iprev="):
            self.assertIn(part, results)
        self.assertNotIn("bank.test", text)
        self.assertIn("elsewhere.test; spf=pass", text)

    def test_dmarc_refuses_what_its_domain_does_not_vouch_for(self):
        user = self.target.account()
        code, text = self.send(user, "joe@bad.test", mail("joe@bad.test", "unsigned"))
        self.assertEqual((code, text[:5]), (550, b"5.7.1"))
        self.assertIn(b"bad.test", text)
        changed = self.sign("bad.test", mail("joe@bad.test", "changed")).replace(b"hello", b"hullo")
        self.assertEqual(self.send(user, "joe@bad.test", changed)[0], 550)
        stranger = self.sign("stranger.test", mail("joe@bad.test", "stranger"))
        self.assertEqual(self.send(user, "joe@bad.test", stranger)[0], 550, "another domain's signature is not aligned")
        self.assertEqual(self.send(user, "joe@bad.test", self.sign("bad.test", mail("joe@bad.test", "own")))[0], 250)
        results = self.results(self.read(user, "INBOX"))
        self.assertIn("spf=fail", results)
        self.assertIn("dmarc=pass header.from=bad.test", results)

    def test_dmarc_quarantine_files_into_junk(self):
        user = self.target.account()
        self.assertEqual(self.send(user, "joe@doubtful.test", mail("joe@doubtful.test", "doubtful"))[0], 250)
        self.assertIn("dmarc=fail", self.results(self.read(user, "Junk")))

    def test_a_trusted_list_is_believed(self):
        user = self.target.account()
        seen = b"Authentication-Results: list.test; dmarc=pass header.from=bad.test; arc=none\r\n"
        message = mail("joe@bad.test", "listed")
        seal = b"".join(dkim.arc_sign(seen + message, b"k", b"list.test", self.key, b"list.test"))
        self.assertEqual(self.send(user, "bounce@list.test", seal + message)[0], 250)
        self.assertIn("arc=pass header.d=list.test", self.results(self.read(user, "INBOX")))
        seal = b"".join(dkim.arc_sign(seen.replace(b"list.test", b"stranger.test") + message, b"k", b"stranger.test", self.key,
                                      b"stranger.test"))
        self.assertEqual(self.send(user, "bounce@stranger.test", seal + message)[0], 550)

    def at_sink(self, address):
        """The only message that came for a remote address."""
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            with self.sink.lock:
                found = list(self.sink.messages[address])
            if found:
                self.assertEqual(len(found), 1)
                return found[0]
            time.sleep(0.05)
        self.fail(f"nothing came for {address}")

    def key_record(self, name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        record = self.dns.texts.get(name.rstrip("."))
        return record.encode() if record else None

    def chain(self, message):
        """The ARC chain as both judges see it: python3-dkim's word, and our own outcome."""
        resolver = f"127.0.0.1:{self.dns_port}"
        ours = subprocess.run([self.target.env["CTL_PROGRAM"], "-o", "json", "mailauth", "arc", "--resolver", resolver],
                              input=message, capture_output=True, timeout=60, check=True)
        return dkim.arc_verify(message, dnsfunc=self.key_record)[0], json.loads(ours.stdout)

    def test_what_is_forwarded_is_sealed(self):
        user = self.target.account()
        redirect = 'redirect "redirected@sink.test";'
        edited = 'require "editheader"; addheader "X-Seen" "yes"; redirect "edited@sink.test";'
        ways = {"redirected": redirect, "edited": edited, "alias": None}
        for way, script in ways.items():
            with self.subTest(way):
                if script:
                    done = subprocess.run([self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], "sieve", "put",
                                           user, "-", "--name", "mine", "--activate"], input=script, text=True, capture_output=True)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    to = user
                else:
                    to = "away@example.test"
                    done = self.ctl("alias", "create", to, "alias@sink.test", "--replace")
                    self.assertEqual(done.returncode, 0, done.stderr)
                message = self.sign("good.test", mail("joe@good.test", way, body="exactly \t this\r\n\r\n.\r\n\r\n"))
                self.assertEqual(self.send(to, "joe@good.test", message)[0], 250)
                came = self.at_sink(f"{way}@sink.test")
                self.assertTrue(came.startswith(b"ARC-Seal: i=1;"), came)
                self.assertEqual(b"X-Seen" in came, way == "edited")
                theirs, ours = self.chain(came)
                self.assertEqual((theirs, ours["result"]), (b"pass", "pass"), (ours, came))
                self.assertIn("dkim=pass header.d=good.test", ours["sets"][0]["results"])
                self.assertIn("dmarc=pass header.from=good.test", ours["sets"][0]["results"])
                self.assertTrue(dkim.verify(came, dnsfunc=self.key_record), "the author's signature survives")
                self.assertTrue(came.endswith(message[message.index(b"From: "):]), "octet by octet")

    def test_a_forwarded_chain_goes_on(self):
        user = self.target.account()
        done = self.ctl("alias", "create", "onward@example.test", "onward@sink.test", "spoilt@sink.test", user, "--replace")
        self.assertEqual(done.returncode, 0, done.stderr)
        seen = b"Authentication-Results: list.test; dmarc=pass header.from=good.test; arc=none\r\n"
        message = mail("joe@good.test", "chained")
        sealed = b"".join(dkim.arc_sign(seen + message, b"k", b"list.test", self.key, b"list.test")) + message
        self.assertEqual(self.send("onward@example.test", "bounce@list.test", sealed)[0], 250)
        came = self.at_sink("onward@sink.test")
        self.assertEqual(self.at_sink("spoilt@sink.test"), came, "both leave in one piece")
        theirs, ours = self.chain(came)
        self.assertEqual((theirs, ours["result"], [each["cv"] for each in ours["sets"]]), (b"pass", "pass", ["none", "pass"]), came)
        self.assertIn("arc=pass header.d=list.test", ours["sets"][1]["results"])
        self.assertNotIn("ARC-Seal: i=2", self.read(user, "INBOX"), "who is here needs no seal")
        with self.sink.lock:
            self.sink.messages.clear()
        self.assertEqual(self.send("onward@example.test", "joe@good.test", sealed.replace(b"hello", b"hullo"))[0], 250)
        came = self.at_sink("onward@sink.test")
        theirs, ours = self.chain(came)
        self.assertEqual((ours["result"], [each["cv"] for each in ours["sets"]]), ("fail", ["none", "fail"]), came)
        self.assertNotEqual(theirs, b"pass")

    def test_submitted_mail_is_not_checked(self):
        user = self.target.account()
        with smtplib.SMTP("127.0.0.1", self.target.port("SUBMISSION"), timeout=60) as client:
            client.ehlo("mail.sender.test")
            client.login(user, self.target.password)
            client.sendmail(user, [user], mail(user, "submitted"))
        self.assertEqual(self.results(self.read(user, "INBOX")).strip(), f"auth=pass smtp.auth={user}")

    def ctl(self, *arguments):
        return subprocess.run([self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], *arguments],
                              capture_output=True, text=True, timeout=60, check=False)

    def explain(self, identifier):
        """The event with the verdict, once it is written: a moment after the reply."""
        give_up = time.monotonic() + 30
        while True:
            done = self.ctl("-o", "json", "filter", "explain", identifier)
            if done.returncode == 0:
                return json.loads(done.stdout)["verdicts"]
            self.assertLess(time.monotonic(), give_up, (identifier, done.stdout, done.stderr))
            time.sleep(0.2)

    def test_the_verdict_is_explained(self):
        user = self.target.account()
        reply = self.send(user, "joe@doubtful.test", mail("joe@doubtful.test", "explained"))[1].decode()
        event, = self.explain("<explained@mail.test>")
        verdict = event["verdict"]
        self.assertEqual((event["kind"], verdict["decision"], verdict["junk_at"], verdict["refuse_at"]), ("received", "junk", 6, 15))
        engines = {engine["engine"]: engine for engine in verdict["engines"]}
        self.assertLessEqual({"structure", "mail_authentication"}, set(engines))
        self.assertGreater(engines["mail_authentication"]["duration_us"], 0)
        symbols = {symbol["name"]: symbol for symbol in engines["mail_authentication"]["symbols"]}
        self.assertEqual((symbols["DMARC_QUARANTINE"]["score"], symbols["DMARC_QUARANTINE"]["detail"]), (4, "doubtful.test"))
        self.assertAlmostEqual(verdict["score"], sum(symbol["score"] for symbol in symbols.values()))
        self.assertEqual(self.explain(reply.split()[-1]), [event], "by the id that the client was told")
        self.assertEqual(self.send(user, "joe@bad.test", mail("joe@bad.test", "why-refused"))[0], 550)
        self.assertEqual(self.explain("why-refused@mail.test")[0]["kind"], "refused")
        table = self.ctl("filter", "explain", "why-refused@mail.test").stdout
        for part in ("decision: refuse", "junk from 6, refused from 15", "reply: 550 5.7.1", "DMARC_REJECT", "SPF_FAIL"):
            self.assertIn(part, table)
        self.assertEqual(self.ctl("filter", "explain", "nobody@nowhere.test").returncode, 3)

    def test_dns_that_is_away_holds_up_no_mail(self):
        user = self.target.account()
        for way in ("silent", "gone"):
            with self.subTest(way):
                self.dns.silent = way == "silent"
                if way == "gone":
                    self.dns.stop()
                try:
                    message = self.sign(f"{way}.test", mail(f"joe@{way}.test", way))
                    self.assertEqual(self.send(user, f"joe@{way}.test", message)[0], 250)
                finally:
                    self.dns.silent = False
                    if way == "gone":
                        self.dns.start()
                results = self.results(self.read(user, "INBOX"))
                for method in ("spf", "dkim", "dmarc"):
                    self.assertIn(f"{method}=temperror", results)
        give_up = time.monotonic() + 60
        while True:
            message = self.sign("good.test", mail("joe@good.test", "back"))
            self.assertEqual(self.send(user, "joe@good.test", message)[0], 250)
            results = self.results(self.read(user, "INBOX"))
            if "dmarc=pass" in results:
                break
            self.assertLess(time.monotonic(), give_up, results)
            time.sleep(0.5)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
