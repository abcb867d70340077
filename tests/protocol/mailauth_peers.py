"""merpatictl mailauth beside Debian's python3-spf and python3-dkim, over generated inputs and one DNS server on loopback."""
import base64
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import not_run  # noqa: E402

try:
    import dkim
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdatatype
    import dns.rrset
    import spf
    MISSING = ""
except ImportError as error:
    MISSING = str(error)

CTL = os.environ.get("MERPATICTL", "build/dev/bin/merpatictl")
SEED = int(os.environ.get("MERPATI_SEED", "5"))
SUITE = "mailauth"


class Zone:
    """Names to records, served over UDP, and asked directly by the peers."""

    def __init__(self):
        self.records = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def add(self, name, kind, text):
        self.records.setdefault(name.lower(), {}).setdefault(kind, []).append(text)

    def find(self, name, kind):
        return self.records.get(name.lower().rstrip("."), {}).get(kind, [])

    def answer(self, packet):
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name = question.name.to_text().rstrip(".").lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        found = self.find(name, kind)
        if found:
            texts = [quoted(text) if kind == "TXT" else text for text in found]
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
        elif not any(known == name or known.endswith("." + name) for known in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire(max_size=65535)

    def serve(self):
        while True:
            packet, client = self.socket.recvfrom(4096)
            self.socket.sendto(self.answer(packet), client)

    def for_spf(self, name, kind, *_, **__):
        """What spf.DNSLookup gives: ((name, kind), data) pairs."""
        out = []
        for text in self.find(name, kind):
            if kind == "MX":
                preference, host = text.split()
                out.append(((name, kind), (int(preference), host.rstrip("."))))
            elif kind == "TXT":
                out.append(((name, kind), (text.encode(),)))
            elif kind in ("A", "AAAA"):
                address = spf.ipaddress.ip_address(text)
                out.append(((name, kind), address if kind == "AAAA" else text))
            else:
                out.append(((name, kind), text.rstrip(".")))
        return out

    def for_dkim(self, name, timeout=5):
        found = self.find(name.decode() if isinstance(name, bytes) else name, "TXT")
        return found[0].encode() if found else None


def quoted(text):
    return " ".join('"' + text[at:at + 250].replace("\\", "\\\\").replace('"', '\\"') + '"'
                    for at in range(0, max(len(text), 1), 250))


def ctl(*arguments, message=b""):
    ran = subprocess.run([CTL, "mailauth", *arguments], input=message, capture_output=True, timeout=60)
    if ran.returncode != 0:
        raise AssertionError(f"merpatictl {arguments}: {ran.stderr.decode()}")
    return ran.stdout


def make_record(rng):
    terms = []
    for _ in range(rng.randint(1, 5)):
        qualifier = rng.choice(["", "", "", "+", "-", "~", "?"])
        terms.append(qualifier + rng.choice([
            "a", "mx", "a:h1.test", "a:h2.test/24", "mx:m.test", "mx/30", "ip4:192.0.2.0/28", "ip4:192.0.2.77",
            "ip6:2001:db8::/48", "include:i1.test", "include:i2.test", "include:none.test", "exists:%{ir}.e.test",
            "exists:%{l}.%{d2}.e.test", "a:h6.test//64", "ip4:192.0.2.300", "a:%{x}", "all:no", "foo", "a/33", "ptr"]))
    terms.append(rng.choice(["-all", "~all", "?all", "", "redirect=i1.test", "redirect=none.test", "x-mod=1 -all"]))
    return "v=spf1 " + " ".join(terms).strip()


def make_message(rng):
    """Header and body with what canonicalisation is about."""
    fields = ["From: A <a@a.test>", "To:  b@b.test ", "Subject:\tx  y\r\n\tfolded   z ", "Date: Fri, 11 Jul 2003 21:00:37 -0700",
              "Message-ID: <1@a.test>", "X-Other:", "Received: from x\r\n by y", "Received: from z"]
    rng.shuffle(fields)
    pieces = ["word", " ", "  ", "\t", "\r\n", "\r\n", "\r\n\r\n", "x y ", ".", "\u00e9"]
    # dkimpy keeps white space at the end of a last line without line end, and says so nowhere; RFC 6376 3.4.4 drops white
    # space at the end of every line, as we do. So bodies end with a line end here, as those that SMTP carries do.
    body = "".join(rng.choice(pieces) for _ in range(rng.randint(0, 30))) + "w\r\n"
    return ("\r\n".join(fields) + "\r\n\r\n" + body).encode()


class Peers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if MISSING:
            not_run.not_run(SUITE, f"{MISSING}: apt-get install python3-spf python3-dkim python3-nacl python3-dnspython")
        if not pathlib.Path(CTL).exists():
            not_run.not_run(SUITE, f"{CTL} is not built")
        cls.zone = Zone()
        for name, kind, text in (
                ("h1.test", "A", "192.0.2.1"), ("h2.test", "A", "192.0.2.130"), ("h6.test", "AAAA", "2001:db8:0:1::1"),
                ("m.test", "MX", "10 h1.test."), ("i1.test", "TXT", "v=spf1 ip4:192.0.2.64/26 -all"),
                ("i2.test", "TXT", "v=spf1 a:h6.test ~all"), ("1.2.0.192.in-addr.arpa", "PTR", "h1.test."),
                ("1.2.0.192.e.test", "A", "127.0.0.2"), ("user.d.test.e.test", "A", "127.0.0.2")):
            cls.zone.add(name, kind, text)
        spf.DNSLookup = cls.zone.for_spf
        cls.folder = tempfile.TemporaryDirectory()
        cls.keys = {}
        for selector, how in (("r", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]), ("e", ["-algorithm", "ed25519"])):
            path = pathlib.Path(cls.folder.name) / f"{selector}.pem"
            subprocess.run(["openssl", "genpkey", *how, "-out", path], check=True, capture_output=True)
            cls.keys[selector] = path
            made = json.loads(ctl("sign", "-o", "json", "--key", str(path), "--selector", selector, "--domain", "a.test",
                                  message=b"From: a@a.test\r\n\r\n"))
            cls.zone.add(made["dns_name"], "TXT", made["dns_record"])
        cls.resolver = ["--resolver", cls.zone.address]

    @classmethod
    def tearDownClass(cls):
        if not MISSING and hasattr(cls, "folder"):
            cls.folder.cleanup()

    def test_spf(self):
        rng = random.Random(SEED)
        kinds = set()
        for number in range(120):
            domain, record = f"n{number}.d.test", make_record(rng)
            self.zone.add(domain, "TXT", record)
            address = rng.choice(["192.0.2.1", "192.0.2.5", "192.0.2.77", "192.0.2.131", "203.0.113.9", "2001:db8:0:1::9",
                                  "2001:db8:9::1"])
            ours = json.loads(ctl("spf", *self.resolver, "--ip", address, "--helo", "h.test", "--from", f"user@{domain}"))
            theirs = spf.query(i=address, s=f"user@{domain}", h="h.test", strict=True, timeout=0).check()[0]
            kinds.add(theirs)
            with self.subTest(seed=SEED, record=record, address=address):
                self.assertEqual(ours["result"], theirs, ours)
        self.assertLessEqual({"pass", "fail", "softfail", "permerror"}, kinds)

    def test_dkim_that_we_sign_verifies_there(self):
        rng = random.Random(SEED)
        for number in range(30):
            message = make_message(rng)
            selector = rng.choice("re")
            field = ctl("sign", "--key", str(self.keys[selector]), "--selector", selector, "--domain", "a.test", message=message)
            with self.subTest(seed=SEED, number=number):
                self.assertTrue(dkim.verify(field + message, dnsfunc=self.zone.for_dkim))

    def test_dkim_that_they_sign_verifies_here(self):
        rng = random.Random(SEED + 1)
        key = self.keys["r"].read_bytes()
        for number in range(40):
            message = make_message(rng)
            how = (rng.choice([b"simple", b"relaxed"]), rng.choice([b"simple", b"relaxed"]))
            field = dkim.sign(message, b"r", b"a.test", key, canonicalize=how)
            # Harmless and harmful changes alike: what matters is that both say the same.
            sent = field + message
            if rng.random() < 0.5:
                at = rng.randrange(sent.index(b"\r\n\r\n") + 4 if rng.random() < 0.5 else len(field), len(sent) - 1)
                sent = sent[:at] + rng.choice([b" ", b"x", b"\t"]) + sent[at:]
            try:
                theirs = dkim.verify(sent, dnsfunc=self.zone.for_dkim)
            except dkim.DKIMException:
                continue  # it reads no header with a broken line; we do, and have nobody to compare with
            ours = json.loads(ctl("dkim", *self.resolver, message=sent))
            with self.subTest(seed=SEED, number=number, how=how, sent=base64.b64encode(sent)):
                self.assertEqual(ours["result"] == "pass", theirs, ours)

    def test_arc_both_ways(self):
        rng = random.Random(SEED + 2)
        for number in range(12):
            message = make_message(rng)
            for hop in range(3):
                if rng.random() < 0.5:
                    message = ctl("seal", *self.resolver, "--key", str(self.keys["r"]), "--selector", "r", "--domain", "a.test",
                                  "--authserv-id", "mx.test", message=message) + message
                else:
                    # It seals only what its own Authentication-Results say.
                    seen = b"Authentication-Results: mx.test; arc=%s smtp.remote-ip=192.0.2.1\r\n" % (b"none" if hop == 0 else b"pass")
                    lines = dkim.arc_sign(seen + message, b"r", b"a.test", self.keys["r"].read_bytes(), b"mx.test")
                    message = b"".join(lines) + message
                with self.subTest(seed=SEED, number=number, hop=hop):
                    cv, _, reason = dkim.arc_verify(message, dnsfunc=self.zone.for_dkim)
                    self.assertEqual(cv, b"pass", reason)
                    ours = json.loads(ctl("arc", *self.resolver, message=message))
                    self.assertEqual(ours["result"], "pass", ours)
            broken = message + b"x\r\n"
            self.assertEqual(dkim.arc_verify(broken, dnsfunc=self.zone.for_dkim)[0], b"fail")
            self.assertEqual(json.loads(ctl("arc", *self.resolver, message=broken))["result"], "fail")


if __name__ == "__main__":
    not_run.main()
