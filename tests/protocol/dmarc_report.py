#!/usr/bin/python3
"""merpatictl dmarc report: what providers send, in the forms they send it in, and what only looks like it.

usage: dmarc_report.py MERPATICTL
"""
import email.message
import gzip
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import zipfile

sys.dont_write_bytecode = True
CTL = sys.argv.pop(1)
CORPUS = pathlib.Path(__file__).resolve().parents[2] / "libs/mailauth/fuzz/corpus_report"
NEW = (CORPUS / "rfc9990").read_bytes()
OLD = (CORPUS / "rfc7489").read_bytes()


def run(*arguments, octets=b""):
    return subprocess.run([CTL, *arguments], input=octets, capture_output=True, timeout=60, check=False)


def reports(octets):
    done = run("-o", "json", "dmarc", "report", octets=octets)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return json.loads(done.stdout)


def zipped(*files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, octets in files:
            archive.writestr(name, octets)
    return out.getvalue()


def mailed(octets, kind, subtype, encoding_name):
    mail = email.message.EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "noreply@provider.test", "dmarc@example.org", "Report Domain: example.org"
    mail.set_content("This is a report.")
    mail.add_alternative("<html><body>This is a report.</body></html>", subtype="html")
    mail.add_attachment(octets, maintype=kind, subtype=subtype, filename=encoding_name)
    return mail.as_bytes()


class Report(unittest.TestCase):
    def test_every_form(self):
        plain = reports(NEW)
        self.assertEqual(len(plain), 1)
        forms = {
            "gzip": gzip.compress(NEW),
            "zip": zipped(("provider!example.org!1!2.xml", NEW)),
            "mail with gzip": mailed(gzip.compress(NEW), "application", "gzip", "report.xml.gz"),
            "mail with zip": mailed(zipped(("a.xml", NEW)), "application", "zip", "report.zip"),
            "mail with who knows what": mailed(gzip.compress(NEW), "application", "octet-stream", "report"),
            "mail with text": mailed(NEW, "application", "xml", "report.xml"),
            "byte order mark": b"\xef\xbb\xbf" + NEW,
        }
        for form, octets in forms.items():
            with self.subTest(form):
                self.assertEqual(reports(octets), plain)

    def test_what_it_says(self):
        report, = reports(NEW)
        self.assertEqual((report["org_name"], report["policy"]["domain"], report["policy"]["np"]),
                         ("Receiver & Sons", "example.org", "none"))
        self.assertEqual((report["messages"], report["passed"]), (13, 12))
        first, second = report["records"]
        self.assertEqual((first["source_ip"], first["count"], first["dkim"]), ("192.0.2.1", 12, "pass"))
        self.assertEqual([each["domain"] for each in first["dkim_results"]], ["example.org", "list.example"])
        self.assertEqual(second["reasons"][0], {"type": "local_policy", "comment": "arc=pass"})
        report, = reports(OLD)
        self.assertEqual((report["policy"]["pct"], report["messages"], report["passed"]), ("100", 3, 3))

    def test_tables(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, octets in (("new.xml.gz", gzip.compress(NEW)), ("old.zip", zipped(("x.xml", OLD)))):
                paths.append(pathlib.Path(folder) / name)
                paths[-1].write_bytes(octets)
            done = run("dmarc", "report", *map(str, paths))
        self.assertEqual(done.returncode, 0, done.stderr)
        text = done.stdout.decode()
        for part in ("Receiver & Sons <dmarc@receiver.example>", "2025-11-29 00:00:00 to 2025-11-29 23:59:59",
                     "13, of which 12 pass DMARC", "2001:db8::1", "quarantine", "local_policy, other",
                     "example.org/k1 pass, list.example/s fail", "old.example <a@old.example>"):
            self.assertIn(part, text)

    def test_several_in_one(self):
        self.assertEqual([each["org_name"] for each in reports(zipped(("a.xml", NEW), ("readme.txt", b"hello"), ("b.xml", OLD)))],
                         ["Receiver & Sons", "old.example"])

    def test_bombs_and_rubbish(self):
        zeros = b"<feedback>" + b" " * (70 << 20)
        bombs = {
            "gzip": gzip.compress(zeros),
            "gzip in gzip": gzip.compress(gzip.compress(zeros)),
            "zip": zipped(("a.xml", zeros)),
            "many in a zip": zipped(*((f"{number}.xml", NEW) for number in range(101))),
            "not XML": zipped(("a.bin", b"\0" * (70 << 20))),
        }
        for name, octets in bombs.items():
            with self.subTest(name):
                done = run("dmarc", "report", octets=octets)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(b"unpacks to more than a report does", done.stderr)
        rubbish = {
            "nothing": (b"", b"no XML"),
            "text": (b"hello\n", b"no XML"),
            "mail without": (b"From: a@b.test\r\nSubject: x\r\n\r\nhello\r\n", b"no XML"),
            "cut gzip": (gzip.compress(NEW)[:-20], b"damaged"),
            "cut zip": (zipped(("a.xml", NEW))[:200], b"damaged"),
            "zip without": (zipped(("a.txt", b"hello")), b"no XML document"),
            "another document": (b"<html/>", b"no DMARC aggregate report"),
            "entities": ((CORPUS / "entities").read_bytes(), b"document type"),
        }
        for name, (octets, why) in rubbish.items():
            with self.subTest(name):
                done = run("dmarc", "report", octets=octets)
                self.assertNotEqual(done.returncode, 0, done.stdout)
                self.assertIn(why, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
