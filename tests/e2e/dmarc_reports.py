#!/usr/bin/python3
"""DMARC aggregate reports: mail comes in the name of domains, the day is closed, and they get reports that can be read.

SPF and DMARC records come from a DNS server on loopback; reports arrive at a sink.
"""
import collections
import email
import email.policy
import gzip
import json
import pathlib
import smtplib
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from dns_server import DnsServer  # noqa: E402
from instance import Instance, free_ports  # noqa: E402
from smtp_sink import Sink  # noqa: E402

NAMESPACE = "{urn:ietf:params:xml:ns:dmarc-2.0}"
RECORDS = {
    "good.test": "v=spf1 ip4:127.0.0.1 -all",
    "bad.test": "v=spf1 ip4:192.0.2.1 -all",
    "_dmarc.good.test": "v=DMARC1; p=reject; rua=mailto:reports@sink.test",
    "good.test._report._dmarc.sink.test": "v=DMARC1",
    "_dmarc.bad.test": "v=DMARC1; p=reject; sp=quarantine; rua=mailto:unasked@sink.test, mailto:agent@sink.test!10m",
    "bad.test._report._dmarc.sink.test": "v=DMARC1; rua=mailto:instead@sink.test",
    "_dmarc.unasked.test": "v=DMARC1; p=none; rua=mailto:unasked@sink.test",
    "_dmarc.excluded.test": "v=DMARC1; p=none; rua=mailto:excluded@sink.test",
    "excluded.test._report._dmarc.sink.test": "v=DMARC1",
    "1.0.0.127.in-addr.arpa": "no name, but it exists",
}


class DmarcReports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port = free_ports(1)[0]
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.dns = DnsServer(port, texts=RECORDS)
        cls.addClassCleanup(cls.dns.stop)
        cls.instance = Instance(services=True, accounts=20, environment={
            "MERPATI_FILTER__DNS_SERVERS": f'["127.0.0.1@{port}"]',
            "MERPATI_FILTER__MAIL_AUTHENTICATION__OWN_NETWORKS": '["none"]',
            "MERPATI_QUEUE__ROUTES": f'["sink.test={cls.sink.address}:{cls.sink.port}"]',
            "MERPATI_FILTER__DMARC_REPORTS__ENABLED": "true",
            "MERPATI_FILTER__DMARC_REPORTS__ORGANIZATION": "Example & Sons",
            "MERPATI_FILTER__DMARC_REPORTS__FROM": "dmarc@example.test",
            "MERPATI_FILTER__DMARC_REPORTS__EXCLUDE_DOMAINS": '["excluded.test"]',
        })
        if cls.instance.adopted:
            raise unittest.SkipTest("an adopted instance cannot be given another DNS")
        cls.enterClassContext(cls.instance)
        cls.target = cls.instance.target

    def send(self, user, sender):
        message = f"From: {sender}\r\nSubject: x\r\n\r\nhello\r\n".encode()
        with smtplib.SMTP("127.0.0.1", self.target.port("SMTP"), timeout=60) as client:
            client.ehlo("mail.sender.test")
            client.mail(sender)
            client.rcpt(user)
            return client.data(message)[0]

    def ctl(self, *arguments, octets=None):
        done = subprocess.run([self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], "-o", "json", *arguments],
                              input=octets, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def wait(self, what, why):
        give_up = time.monotonic() + 60
        while True:
            found = what()
            if found:
                return found
            self.assertLess(time.monotonic(), give_up, why)
            time.sleep(0.1)

    def pending(self, *more):
        return {report["domain"]: report for report in self.ctl("dmarc", "pending", *more)}

    def at_sink(self, address):
        """All that came there, once something did."""
        def came():
            with self.sink.lock:
                return list(self.sink.messages[address])
        return self.wait(came, f"nothing came for {address}")

    def report_in(self, octets):
        """The mail and its report's XML."""
        mail = email.message_from_bytes(octets, policy=email.policy.default)
        attachment, = mail.iter_attachments()
        self.assertEqual(attachment.get_content_type(), "application/gzip")
        root = ElementTree.fromstring(gzip.decompress(attachment.get_content()))
        return mail, attachment.get_filename(), root

    def counts(self, root):
        """By (address, author's domain, disposition, DKIM, SPF)."""
        out = collections.Counter()
        for record in root.findall(f"{NAMESPACE}record"):
            def text(path):
                return record.findtext("/".join(NAMESPACE + name for name in path.split("/")))
            out[(text("row/source_ip"), text("identifiers/header_from"), text("row/policy_evaluated/disposition"),
                 text("row/policy_evaluated/dkim"), text("row/policy_evaluated/spf"))] += int(text("row/count"))
        return dict(out)

    def test_domains_get_reports_about_their_mail(self):
        user = self.target.account()
        for _ in range(3):
            self.assertEqual(self.send(user, "joe@good.test"), 250)
        self.assertEqual(self.send(user, "joe@bad.test"), 550)
        for _ in range(2):
            self.assertEqual(self.send(user, "joe@news.bad.test"), 250)
        for domain in ("unasked.test", "excluded.test", "silent.test"):
            self.assertEqual(self.send(user, f"joe@{domain}"), 250)
        self.wait(lambda: sum(int(report["messages"]) for report in self.pending().values()) == 7, "not all mail was counted")
        pending = self.pending()
        self.assertEqual(sorted(pending), ["bad.test", "good.test", "unasked.test"])
        for report in pending.values():
            self.assertEqual(report["state"], "collecting")
            self.assertGreater(int(report["due_at"]), int(report["ends_at"]))
        self.assertEqual(len(self.sink.messages), 0, "the day is not over")

        self.assertEqual(int(self.ctl("dmarc", "send")["reports"]), 3)
        octets, = self.at_sink("reports@sink.test")
        mail, name, root = self.report_in(octets)
        begin, end = (root.findtext(f".//{NAMESPACE}{which}") for which in ("begin", "end"))
        self.assertLess(int(begin), int(end))
        self.assertEqual(int(begin) % 86400, 0)
        self.assertEqual(name, f"example.test!good.test!{begin}!{end}.xml.gz")
        self.assertRegex(mail["Subject"], r"^Report Domain:\s+good\.test\s+Submitter:\s+example\.test\s+Report-ID:\s+<[^<>\s]+@example\.test>$")
        self.assertEqual((mail["From"].addresses[0].addr_spec, mail["To"].addresses[0].addr_spec), ("dmarc@example.test", "reports@sink.test"))
        self.assertEqual(root.findtext(f".//{NAMESPACE}org_name"), "Example & Sons")
        self.assertEqual(self.counts(root), {("127.0.0.1", "good.test", "pass", "fail", "pass"): 3})

        # Two destinations at one host, which names another address for both: one report.
        octets, = self.at_sink("instead@sink.test")
        _, _, root = self.report_in(octets)
        self.assertEqual(self.counts(root), {("127.0.0.1", "bad.test", "reject", "fail", "fail"): 1,
                                             ("127.0.0.1", "news.bad.test", "quarantine", "fail", "fail"): 2})
        report, = self.ctl("dmarc", "report", octets=octets)
        self.assertEqual((report["policy"]["domain"], report["policy"]["sp"], report["messages"], report["passed"]),
                         ("bad.test", "quarantine", 3, 0))
        self.assertEqual(report["org_name"], "Example & Sons")
        self.assertEqual({spf["result"] for record in report["records"] for spf in record["spf_results"]}, {"fail", "none"})

        self.wait(lambda: not self.pending(), "reports still wait")
        self.assertEqual({report["state"] for report in self.pending("--sent").values()}, {"sent"})
        # What comes later on the same day is another report.
        self.assertEqual(self.send(user, "joe@good.test"), 250)
        self.assertEqual(int(self.ctl("dmarc", "send", "--domain", "good.test")["reports"]), 1)
        self.wait(lambda: len(self.at_sink("reports@sink.test")) == 2, "the second report did not come")
        _, _, root = self.report_in(self.at_sink("reports@sink.test")[1])
        self.assertEqual(self.counts(root), {("127.0.0.1", "good.test", "pass", "fail", "pass"): 1})
        self.assertEqual(int(root.findtext(f".//{NAMESPACE}begin")), int(end) + 1, "periods do not overlap")
        with self.sink.lock:
            self.assertEqual(sorted(self.sink.messages), ["instead@sink.test", "reports@sink.test"],
                             "nobody else agreed to get any")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
