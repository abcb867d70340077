#!/usr/bin/python3
"""Mail from outside that leaves again: by an alias, a catch-all, or an alias that somebody redirects to.

usage: forwarding.py [--services] [TEST ...]

The instance's queue delivers sink.test and good.test to a server of the test, which plays the remote hosts. python3-dkim judges the
author's signature and the ARC chain. The instance takes nobody for its own, so that the tests are mail from outside.
"""
import email
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
from mail_authentication import mail, make_key  # noqa: E402
from smtp_sink import Sink  # noqa: E402

try:
    import dkim
except ImportError:
    dkim = None

SERVICES = "--services" in sys.argv
AUTHOR = "joe@good.test"
BODY = "exactly \t this\r\n\r\n.\r\n\r\n"


class Forwarding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if dkim is None:
            not_run.not_run("forwarding", "python3-dkim is not installed")
        port = free_ports(1)[0]
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        there = f"{cls.sink.address}:{cls.sink.port}"
        cls.instance = Instance(services=SERVICES, accounts=20, environment={
            "MERPATI_FILTER__DNS_SERVERS": f'["127.0.0.1@{port}"]',
            "MERPATI_FILTER__MAIL_AUTHENTICATION__OWN_NETWORKS": '["none"]',
            "MERPATI_QUEUE__ROUTES": f'["sink.test={there}", "good.test={there}"]',
            "MERPATI_FILTER__ARC__DOMAIN": "example.test",
            "MERPATI_FILTER__ARC__SELECTOR": "k",
            **{f"MERPATI_{service}__SRS__{key}": value for service in ("AUTH", "FILTER")
               for key, value in (("DOMAIN", "example.test"), ("KEY", "0123456789abcdef"))}})
        if cls.instance.adopted:
            raise unittest.SkipTest("an adopted instance cannot be given another DNS")
        cls.key, record = make_key(cls.instance.state)
        cls.instance.environment["MERPATI_FILTER__ARC__KEY_FILE"] = str(cls.instance.state / "dkim.pem")
        cls.dns = DnsServer(port, texts={
            "good.test": "v=spf1 ip4:127.0.0.1 -all", "_dmarc.good.test": "v=DMARC1; p=reject",
            "1.0.0.127.in-addr.arpa": "no name, but it exists",
            "k._domainkey.good.test": record, "k._domainkey.example.test": record})
        cls.addClassCleanup(cls.dns.stop)
        cls.enterClassContext(cls.instance)
        cls.target = cls.instance.target

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_").replace("_", "-")
        self.there = f"{self.name}@sink.test"

    # --- what the cases do

    def ctl(self, *words, stdin=None):
        done = subprocess.run([self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], *words], input=stdin,
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, (words, done.stdout, done.stderr))

    def alias(self, *targets):
        address = f"{self.name}@example.test"
        self.ctl("alias", "create", address, *targets, "--replace")
        return address

    def signed(self, more="", body=BODY):
        message = mail(AUTHOR, self.name, body=body, more=more)
        return dkim.sign(message, b"k", b"good.test", self.key, canonicalize=(b"relaxed", b"simple")) + message

    def send(self, to, message, sender=AUTHOR):
        with smtplib.SMTP("127.0.0.1", self.target.port("SMTP"), timeout=60) as client:
            client.ehlo("mail.good.test")
            client.mail(sender)
            code, text = client.rcpt(to)
            return client.data(message) if code == 250 else (code, text)

    def deliver(self, to, message, sender=AUTHOR):
        code, text = self.send(to, message, sender)
        self.assertEqual(code, 250, text)

    def at_sink(self, address):
        """The only message that came for a remote address, and its reverse-path."""
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            with self.sink.lock:
                found = list(zip(self.sink.messages[address], self.sink.senders[address]))
                self.sink.messages[address].clear()
                self.sink.senders[address].clear()
            if found:
                self.assertEqual(len(found), 1, address)
                return found[0]
            time.sleep(0.05)
        self.fail(f"nothing came for {address}")

    def key_record(self, name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        record = self.dns.texts.get(name.rstrip("."))
        return record.encode() if record else None

    def check_forwarded(self, came, sent, sets=1):
        """What the next host finds."""
        message, sender = came
        self.assertRegex(sender, r"^SRS0=\w+=\w\w=good\.test=joe@example\.test$")
        found, results, why = dkim.arc_verify(message, dnsfunc=self.key_record)
        self.assertEqual(found, b"pass", (why, message))
        self.assertEqual([(each["instance"], each["as-domain"]) for each in results],
                         [(number, b"example.test") for number in range(sets, 0, -1)])
        for part in (b"spf=pass", b"dkim=pass", b"dmarc=pass"):
            self.assertIn(part, results[-1]["aar-value"])
        self.assertTrue(dkim.verify(message, dnsfunc=self.key_record), "the author's signature survives")
        self.assertTrue(message.endswith(sent[sent.index(b"From: "):]), "octet by octet")
        return sender

    # --- the cases

    def test_an_alias(self):
        sent = self.signed()
        alias = self.alias(self.there)
        self.deliver(alias, sent)
        came = self.at_sink(self.there)
        sender = self.check_forwarded(came, sent)
        self.assertEqual(email.message_from_bytes(came[0])["Delivered-To"], alias)

        # A bounce of a host there finds the author.
        self.deliver(sender, mail("mailer-daemon@sink.test", "returned"), sender="")
        bounce, reverse_path = self.at_sink(AUTHOR)
        self.assertEqual((email.message_from_bytes(bounce)["Subject"], reverse_path), ("returned", ""))
        self.assertEqual(self.send(sender.replace("joe", "jim"), mail("x@sink.test", "forged"), sender="")[0], 550)

        # What comes back is no second time sent there.
        code, text = self.send(alias, came[0])
        self.assertEqual((code, text[:5]), (554, b"5.4.6"))

    def test_an_alias_that_is_refused_there(self):
        self.deliver(self.alias("refused.there@sink.test"), self.signed())
        bounce, reverse_path = self.at_sink(AUTHOR)
        self.assertEqual(reverse_path, "")
        self.assertEqual(email.message_from_bytes(bounce).get_content_type(), "multipart/report")
        self.assertIn(b"refused.there@sink.test", bounce)

    def test_somebody_redirects_to_an_alias(self):
        user = self.target.account()
        alias = self.alias(self.there)
        self.ctl("sieve", "put", user, "-", "--name", "mine", "--activate", stdin=f'redirect "{alias}";')
        sent = self.signed()
        self.deliver(user, sent)
        came = self.at_sink(self.there)
        self.check_forwarded(came, sent, sets=2)
        self.assertEqual(email.message_from_bytes(came[0]).get_all("Delivered-To"), [alias, user])

    def test_a_catch_all(self):
        self.ctl("domain", "create", "catch.test", "--catch-all", self.there)
        sent = self.signed()
        self.deliver("anybody@catch.test", sent)
        came = self.at_sink(self.there)
        self.check_forwarded(came, sent)
        self.assertEqual(email.message_from_bytes(came[0])["Delivered-To"], "anybody@catch.test")

    def test_a_large_message(self):
        sent = self.signed(body="0123456789\r\n" * 20000)
        self.deliver(self.alias(self.there), sent)
        self.check_forwarded(self.at_sink(self.there), sent)

    def test_our_own_users_keep_their_sender(self):
        user = self.target.account()
        with smtplib.SMTP("127.0.0.1", self.target.port("SUBMISSION"), timeout=60) as client:
            client.ehlo("client.test")
            client.login(user, self.target.password)
            client.sendmail(user, [self.alias(self.there)], mail(user, "submitted"))
        message, sender = self.at_sink(self.there)
        self.assertEqual(sender, user)
        self.assertNotIn(b"ARC-Seal", message)

    def test_a_malformed_chain_is_sealed_as_failed(self):
        sent = self.signed(more="ARC-Message-Signature: i=2; nothing else of this set\r\n")
        self.deliver(self.alias(self.there), sent)
        message, sender = self.at_sink(self.there)
        self.assertTrue(sender.startswith("SRS0="))
        seal = re.match(rb"ARC-Seal: i=3;.*?; cv=(\w+);", message, re.S)
        self.assertIsNotNone(seal, message)
        self.assertEqual(seal[1], b"fail")
        self.assertNotEqual(dkim.arc_verify(message, dnsfunc=self.key_record)[0], b"pass")
        self.assertTrue(dkim.verify(message, dnsfunc=self.key_record))


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--services"], verbosity=2, warnings="ignore")
