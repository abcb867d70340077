#!/usr/bin/python3
"""Bad input and bad surroundings: a clear error each, nothing lost, and the processes stay up.

usage: bad_input.py [--services] [TEST ...]
"""
import base64
import email
import json
import os
import pathlib
import random
import re
import signal
import smtplib
import imaplib
import socket
import ssl
import subprocess
import sys
import time
import unittest
import urllib.request

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "e2e"), str(HERE)]

import mail_corpus  # noqa: E402
import not_run  # noqa: E402
from instance import Instance, free_ports  # noqa: E402
from mail_test import MailTest  # noqa: E402
from managesieve import ManageSieve, Refused  # noqa: E402
from processes import Processes  # noqa: E402

SEED = 20261123


def simple(name):
    return mail_corpus.crlf(mail_corpus.head(name) + f"\nbody of {name}\n")


class Raw:
    """A bare connection that reads lines."""

    def __init__(self, target, port, tls=None):
        self.socket = socket.create_connection((target.host, target.port(port)), timeout=30)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=target.host)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False  # the server has hung up already

    def line(self):
        try:
            return self.file.readline(100_000)
        except OSError:
            return b""

    def smtp_reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return lines[-1]

    def tagged(self, tag):
        while True:
            line = self.line()
            if not line or line.startswith(tag + b" ") or line.startswith(b"* BYE"):
                return line

    def ended(self):
        """Whether the server has hung up."""
        try:
            while self.socket.recv(65536):
                pass
            return True
        except OSError:
            return True

    def close(self, abruptly=False):
        if abruptly:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        self.file.close()
        self.socket.close()


class BadInput(MailTest):
    """After each test the same processes still serve."""

    def setUp(self):
        super().setUp()
        self.processes = None
        if not self.instance.adopted:
            self.processes = Processes(self.instance.state)
            self.before = {name: self.processes.pid(name) for name in self.processes.names()}

    def tearDown(self):
        if self.processes:
            after = {name: self.processes.pid(name) for name in self.processes.names()}
            self.assertEqual(after, self.before, "a process did not stay up")
        name = self.id().rsplit(".", 1)[1]
        self.deliver(simple("after " + name))
        found = self.bodies()
        self.assertIn(f"Subject: after {name}\r\n".encode(), found[-1])

    def raw(self, port, tls=False):
        raw = Raw(self.target, port, self.tls() if tls else None)
        self.addCleanup(raw.close)
        return raw

    # --- SMTP

    def smtp(self):
        raw = self.raw("SMTP")
        self.assertTrue(raw.smtp_reply().startswith(b"220 "))
        raw.send(b"EHLO sender.test\r\n")
        self.assertTrue(raw.smtp_reply().startswith(b"250 "))
        return raw

    def test_smtp_malformed_commands(self):
        for bad in (b"\r\n", b"MAIL\r\n", b"MAIL FROM\r\n", b"MAIL FROM:<a@b\r\n", b"MAIL FROM:<a@b> SIZE=x\r\n", b"RCPT TO:<>\r\n",
                    b"FROB x\r\n", b"MAIL FROM:<a@b> SIZE=99999999999999999999999\r\n", b"BDAT -1\r\n", b"BDAT 18446744073709551617 LAST\r\n",
                    b"\xff\xfe\x00\x01\r\n", b"MAIL FROM:<\x00@x>\r\n", b"RCPT TO:<a\rb@x>\r\n", b"AUTH PLAIN !!!\r\n", b"DATA\r\n",
                    b"MAIL FROM:<" + b"a" * 400 + b"@sender.test>\r\n", b"MAIL FROM:<a@[300.1.2.3]>\r\n"):
            raw = self.smtp()
            raw.send(bad)
            reply = raw.smtp_reply()
            self.assertRegex(reply, rb"^5\d\d ", bad)
            raw.send(b"NOOP\r\n")
            self.assertRegex(raw.smtp_reply(), rb"^(250 |421 |$)", bad)  # "": hung up, as after a BDAT without a size
            raw.close()

    def test_smtp_over_long_lines(self):
        raw = self.smtp()
        raw.send(b"NOOP " + b"x" * 5_000_000 + b"\r\nNOOP\r\n")
        self.assertRegex(raw.smtp_reply(), rb"^(500|421) ")
        raw = self.smtp()
        raw.send(b"x" * 3_000_000)  # no end in sight
        raw.close()

    def test_smtp_smuggling_and_bare_line_ends(self):
        for end in (b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"):
            raw = self.smtp()
            raw.send(b"MAIL FROM:<anna@sender.test>\r\nRCPT TO:<" + self.user.encode() + b">\r\nDATA\r\n")
            for expected in (b"250", b"250", b"354"):
                self.assertTrue(raw.smtp_reply().startswith(expected))
            raw.send(b"Subject: outer\r\n\r\nx" + end + b"MAIL FROM:<evil@sender.test>\r\nRCPT TO:<" + self.user.encode()
                     + b">\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n")
            self.assertRegex(raw.smtp_reply(), rb"^5\d\d ", end)
            raw.close()
        self.assertEqual(len(self.bodies()), 0)

    def test_smtp_commands_after_starttls_are_dropped(self):
        raw = self.smtp()
        raw.send(b"STARTTLS\r\nMAIL FROM:<injected@sender.test>\r\n")
        reply = raw.smtp_reply()
        if reply.startswith(b"220"):
            try:  # either the handshake fails because of what lay there, or what lay there is forgotten
                raw.socket = self.tls().wrap_socket(raw.socket, server_hostname=self.target.host)
            except (OSError, ssl.SSLError):
                return
            raw.file = raw.socket.makefile("rb")
            raw.send(b"RCPT TO:<" + self.user.encode() + b">\r\n")
            self.assertRegex(raw.smtp_reply(), rb"^50[0-9] ")
        else:
            self.assertRegex(reply, rb"^5\d\d ")

    def test_smtp_early_disconnects(self):
        steps = [b"EHLO x\r\n", b"MAIL FROM:<anna@sender.test>\r\n", b"RCPT TO:<" + self.user.encode() + b">\r\n", b"DATA\r\n",
                 b"Subject: cut\r\n\r\nhalf a bo"]
        for count in range(len(steps) + 1):
            for abruptly in (False, True):
                raw = Raw(self.target, "SMTP")
                raw.send(b"".join(steps[:count]))
                raw.close(abruptly)
        raw = self.smtp()
        raw.send(b"MAIL FROM:<anna@sender.test>\r\nRCPT TO:<" + self.user.encode() + b">\r\nBDAT 1000 LAST\r\ntoo short")
        raw.close()
        time.sleep(0.3)
        self.assertEqual(len(self.bodies()), 0)

    def test_smtp_nuls_in_data(self):
        with smtplib.SMTP(self.target.host, self.target.port("SMTP")) as client:
            client.ehlo("sender.test")
            client.mail("anna@sender.test")
            client.rcpt(self.user)
            code, _ = client.data(simple("nul") + b"a\0b\r\n")
            # RFC 5321 4.5.2 lets a server refuse them; one that takes them keeps them. Who does not ask for BINARY gets them
            # encoded (RFC 9051 4.3.1: no NUL in a literal).
            self.assertIn(code // 100, (2, 5))
        if code == 250:
            self.assertIn(b"a\0b", email.message_from_bytes(self.bodies()[0]).get_payload(decode=True))

    def test_smtp_too_large_a_body_is_told_at_its_end(self):
        with smtplib.SMTP(self.target.host, self.target.port("SMTP"), timeout=120) as client:
            client.ehlo("sender.test")
            limit = int(client.esmtp_features["size"])
            client.mail("anna@sender.test")
            client.rcpt(self.user)
            code, _ = client.docmd("DATA")
            self.assertEqual(code, 354)
            line = b"x" * 998 + b"\r\n"
            block = line * 1000
            sent = 0
            try:
                while sent <= limit + len(block):
                    client.sock.sendall(block)
                    sent += len(block)
                client.sock.sendall(b"\r\n.\r\n")
                code, _ = client.getreply()
                self.assertEqual(code, 552)
            except (OSError, smtplib.SMTPServerDisconnected):
                pass
        self.assertEqual(len(self.bodies()), 0)

    def test_smtp_too_many_recipients_and_errors(self):
        raw = self.smtp()
        raw.send(b"MAIL FROM:<anna@sender.test>\r\n")
        self.assertTrue(raw.smtp_reply().startswith(b"250"))
        refused = accepted = 0
        for number in range(1200):
            if not raw.send(b"RCPT TO:<" + (self.target.template % (number % 50 + 1)).encode() + b">\r\n"):
                break
            reply = raw.smtp_reply()
            accepted += reply.startswith(b"250")
            refused += reply[:1] in (b"4", b"5")
            if not reply or reply.startswith(b"421"):
                break
        self.assertGreaterEqual(accepted, 50)
        raw = self.smtp()
        for _ in range(1000):
            if not raw.send(b"FROB\r\n"):
                break
            reply = raw.smtp_reply()
            if reply.startswith(b"421") or not reply:
                return
        self.fail("a thousand errors and still connected")

    # --- IMAP

    def imap_raw(self, login=True):
        raw = self.raw("IMAP")
        self.assertTrue(raw.line().startswith(b"* OK"))
        if login:
            raw.send(f"l LOGIN {self.user} {self.target.password}\r\n".encode())
            self.assertTrue(raw.tagged(b"l").startswith(b"l OK"))
        return raw

    def test_imap_malformed_commands(self):
        for bad in (b"a\r\n", b"a FROB\r\n", b"a SELECT\r\n", b"a SELECT \"INBOX\r\n", b"a FETCH 1:* (FLAGS\r\n", b"a UID FETCH x ALL\r\n",
                    b"a STATUS INBOX (FROB)\r\n", b"a SEARCH (((((((\r\n", b"a FETCH 0 FLAGS\r\n", b"a FETCH 99999999999 FLAGS\r\n",
                    b"a STORE 1 FLAGS (\\Recent\r\n", b"a APPEND INBOX {x}\r\n", b"a LIST \"\" \"\xff\xfe\"\r\n", b"a SELECT &-&-&\r\n",
                    b"a SEARCH CHARSET x-nowhere TEXT a\r\n", b"a ENABLE\r\n", b"a \x00\r\n", b"+ x\r\n", b"a FETCH 1 BODY[1.0.x]\r\n",
                    b"a CREATE \"" + b"x" * 3000 + b"\"\r\n", b"a " + b"(" * 2000 + b"\r\n"):
            raw = self.imap_raw()
            raw.send(bad)
            raw.send(b"z NOOP\r\n")
            lines = [raw.line()]
            while lines[-1] and not lines[-1].startswith((b"z ", b"* BYE")):
                lines.append(raw.line())
            self.assertRegex(b"".join(lines), rb"(BAD|NO)", bad)
            raw.close()

    def test_imap_over_long_lines_and_literals(self):
        raw = self.imap_raw()
        raw.send(b"a NOOP " + b"x" * 5_000_000 + b"\r\n")
        self.assertRegex(raw.tagged(b"a") or raw.line(), rb"^(a BAD|\* BYE|\* BAD|$)")
        for literal in (b"{99999999999}", b"{4294967296+}", b"{18446744073709551616}", b"{-1}", b"{3000000000}"):
            raw = self.imap_raw()
            raw.send(b"a APPEND INBOX " + literal + b"\r\n")
            self.assertRegex(raw.tagged(b"a"), rb"^(a (BAD|NO)|\* BYE)", literal)
        raw = self.imap_raw(login=False)
        raw.send(b"a LOGIN {2000000}\r\n")  # before a login only little is taken
        self.assertRegex(raw.tagged(b"a"), rb"^(a (BAD|NO)|\* BYE)")

    def test_imap_early_disconnects(self):
        whole = simple("cut")
        for cut in (b"", b"l LOG", f"l LOGIN {self.user} ".encode()):
            raw = self.raw("IMAP")
            raw.send(cut)
            raw.close(abruptly=True)
        for sent in (0, 10, len(whole) - 1):
            raw = self.imap_raw()
            raw.send(b"a APPEND INBOX {%d+}\r\n" % len(whole) + whole[:sent])
            raw.close()
        time.sleep(0.3)
        self.assertEqual(len(self.bodies()), 0)

    def test_imap_nuls_and_line_ends_in_append(self):
        raw = self.imap_raw()
        message = simple("nul") + b"a\0b\r\n"
        raw.send(b"a APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n")
        reply = raw.tagged(b"a")
        self.assertRegex(reply, rb"^a (OK|NO|BAD)")  # NUL is no CHAR8 (RFC 9051 9)

    def test_imap_commands_after_starttls_are_dropped(self):
        raw = self.imap_raw(login=False)
        raw.send(b"a STARTTLS\r\nb CREATE injected\r\n")
        reply = raw.tagged(b"a")
        if reply.startswith(b"a OK"):
            try:
                raw.socket = self.tls().wrap_socket(raw.socket, server_hostname=self.target.host)
            except (OSError, ssl.SSLError):
                return
            raw.file = raw.socket.makefile("rb")
            raw.send(b"c NOOP\r\n")
            self.assertTrue(raw.line().startswith(b"c OK"))  # and nothing with b

    # --- POP3

    def test_pop3_malformed_commands(self):
        raw = self.raw("POP3")
        self.assertTrue(raw.line().startswith(b"+OK"))
        for bad in (b"\r\n", b"FROB\r\n", b"USER\r\n", b"PASS x\r\n", b"RETR 1\r\n", b"\xff\x00\r\n", b"AUTH FROB\r\n"):
            if not raw.send(bad):
                break
            line = raw.line()
            self.assertRegex(line, rb"^(-ERR|$)", bad)
            if not line:
                break
        raw = self.raw("POP3")
        raw.line()
        raw.send(f"USER {self.user}\r\nPASS {self.target.password}\r\n".encode())
        raw.line()
        self.assertTrue(raw.line().startswith(b"+OK"))
        for bad in (b"RETR 0\r\n", b"RETR 99999999999999\r\n", b"DELE x\r\n", b"TOP 1\r\n", b"LIST -1\r\n", b"UIDL 5\r\n"):
            raw.send(bad)
            self.assertRegex(raw.line(), rb"^-ERR", bad)
        raw.send(b"QUIT\r\n")
        self.assertTrue(raw.line().startswith(b"+OK"))
        raw = self.raw("POP3")
        raw.line()
        raw.send(b"USER " + b"x" * 3_000_000 + b"\r\n")
        self.assertRegex(raw.line(), rb"^(-ERR|$)")

    # --- ManageSieve

    def sieve(self, login=True):
        client = ManageSieve(self.target.host, self.target.port("SIEVE"))
        self.addCleanup(client.close)
        if login:
            client.login(self.user, self.target.password)
        return client

    def test_managesieve_malformed_commands(self):
        strange, known = self.sieve(login=False), self.sieve()
        for client, commands in ((strange, (b"", b"FROB", b"LISTSCRIPTS", b"NOOP \"", b"\xff\0", b"AUTHENTICATE \"FROB\"",
                                            b"PUTSCRIPT \"x\" {8+}\r\nLOGOUT\r\n")),
                                 (known, (b"GETSCRIPT \"\"", b"GETSCRIPT \"\0\"", b"HAVESPACE \"x\" -1", b"RENAMESCRIPT \"x\"",
                                          b"PUTSCRIPT \"x\" {3+}\r\n\xff\0\n", b"CHECKSCRIPT " + ManageSieve.literal(b"if not " * 5000)))):
            for bad in commands:
                with self.assertRaisesRegex(Refused, "^NO", msg=bad):
                    client.command(bad)
            client.command("NOOP")
        with self.assertRaisesRegex(Refused, "^BYE"):
            known.command(b"PUTSCRIPT \"x\" {4294967295+}")
        with self.assertRaises((Refused, OSError, EOFError)):
            strange.command(b"NOOP \"" + b"x" * 3_000_000 + b"\"")

    # --- all of them

    def test_random_bytes(self):
        rng = random.Random(SEED)
        for port in ("SMTP", "SUBMISSION", "SUBMISSIONS", "IMAP", "IMAPS", "POP3", "POP3S", "SIEVE"):
            for number in range(20):
                raw = Raw(self.target, port)
                data = rng.randbytes(rng.randrange(1, 5000))
                if number % 2:
                    data = data.replace(b"\n", b"\r\n")
                raw.send(data)
                raw.close(abruptly=number % 3 == 0)

    def test_random_mutations_of_dialogs(self):
        rng = random.Random(SEED + 1)
        user, password = self.user.encode(), self.target.password.encode()
        dialogs = {
            "SMTP": b"EHLO x.test\r\nMAIL FROM:<a@x.test> SIZE=100\r\nRCPT TO:<" + b"nobody@example.test" + b">\r\nDATA\r\nS: x\r\n\r\nb\r\n.\r\nQUIT\r\n",
            "IMAP": b"a LOGIN " + user + b" " + password + b"\r\nb SELECT INBOX\r\nc FETCH 1:* (UID FLAGS BODY[1.2.MIME]<0.5>)\r\n"
                    b"d SEARCH OR (SUBJECT \"x\" FROM {1}\r\ny) NOT 1:5,7\r\ne STORE 1 +FLAGS (\\Seen)\r\nf LOGOUT\r\n",
            "POP3": b"USER " + user + b"\r\nPASS " + password + b"\r\nSTAT\r\nLIST\r\nRETR 1\r\nTOP 1 5\r\nQUIT\r\n",
            "SIEVE": b'AUTHENTICATE "PLAIN" "' + base64.b64encode(b"\0" + user + b"\0" + password) + b'"\r\nPUTSCRIPT "a" {5+}\r\nkeep;\r\n'
                     b'RENAMESCRIPT "a" {1+}\r\nb\r\nCHECKSCRIPT "stop;"\r\nHAVESPACE "c" 10\r\nLISTSCRIPTS\r\nNOOP "x"\r\nLOGOUT\r\n'}
        for port, dialog in dialogs.items():
            for _ in range(60):
                data = bytearray(dialog)
                for _ in range(rng.randrange(1, 6)):
                    at = rng.randrange(len(data))
                    kind = rng.randrange(3)
                    if kind == 0:
                        data[at] = rng.randrange(256)
                    elif kind == 1:
                        del data[at:at + rng.randrange(1, 20)]
                    else:
                        data[at:at] = data[at:at + rng.randrange(1, 40)]
                raw = Raw(self.target, port)
                raw.send(bytes(data))
                raw.socket.settimeout(0.05)
                raw.ended()
                raw.close()

    def test_tls_garbage_and_half_handshakes(self):
        for port in ("SUBMISSIONS", "IMAPS", "POP3S"):
            raw = Raw(self.target, port)
            raw.send(b"GET / HTTP/1.0\r\n\r\n")
            raw.ended()
            raw.close()
            raw = Raw(self.target, port)
            raw.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 20)
            raw.close(abruptly=True)


class Surroundings(MailTest):
    """What the processes stand on goes away."""

    def setUp(self):
        super().setUp()
        if self.instance.adopted:
            self.skipTest("needs an instance of its own")
        self.processes = Processes(self.instance.state)

    def expect_temporary(self):
        """SMTP says 4xx and IMAP [UNAVAILABLE], both soon."""
        began = time.monotonic()
        with smtplib.SMTP(self.target.host, self.target.port("SMTP"), timeout=60) as client:
            client.ehlo("sender.test")
            code, text = client.mail("anna@sender.test")
            if code == 250:
                code, text = client.rcpt(self.target.template % 99)
            if code == 250:
                code, text = client.data(simple("never"))
            self.assertEqual(code // 100, 4, (code, text))
        self.assertLess(time.monotonic() - began, 40)
        raw = Raw(self.target, "IMAP")
        self.assertTrue(raw.line().startswith(b"* OK"))
        raw.send(f"l LOGIN {self.target.template % 98} {self.target.password}\r\n".encode())
        self.assertRegex(raw.tagged(b"l"), rb"^l NO \[UNAVAILABLE\]")
        raw.close()

    def await_dependency(self, name, there):
        """/readyz of the store tells it, and stays ready: callers avoid a replica that alone fails."""
        port = self.target.port("METRICS") + (5 if self.instance.services else 0)  # of smtp with --services
        give_up = time.monotonic() + 30
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
                body = json.load(answer)
            if body["dependencies"].get(name, {}).get("ok") == there:
                return body["dependencies"][name].get("reason", "")
            self.assertLess(time.monotonic(), give_up, body)
            time.sleep(0.2)

    def test_database_down_and_back(self):
        self.deliver(simple("before"))
        session = self.imap()
        session.select("INBOX")
        pids = {name: self.processes.pid(name) for name in self.processes.names() if name != "postgres"}
        self.processes.kill("postgres", signal.SIGQUIT)
        self.expect_temporary()
        self.assertIn("connect", self.await_dependency("store.postgresql", False))
        self.processes.restart("postgres")
        self.await_dependency("store.postgresql", True)
        give_up = time.monotonic() + 30
        delivered, good = False, 0
        while good < 10:  # each loop of each process finds PostgreSQL again by itself
            try:
                if not delivered:
                    self.deliver(simple("behind"))
                    delivered = True
                self.imap().logout()
                good += 1
            except (AssertionError, OSError, smtplib.SMTPException, imaplib.IMAP4.error):
                good = 0
                self.assertLess(time.monotonic(), give_up, "no recovery in 30 s")
                time.sleep(0.3)
        self.assertEqual([body.split(b"Subject: ")[1][:6] for body in self.bodies()], [b"before", b"behind"])
        self.assertEqual(session.noop()[0], "OK")  # the session outlived it
        self.assertEqual({name: self.processes.pid(name) for name in pids}, pids)

    def test_full_disk_for_objects(self):
        if os.geteuid() != 0:
            not_run.not_run("fault", "a full disk needs root (a small tmpfs is mounted)")
        objects = self.instance.state / "objects"
        large = mail_corpus.attachment("large", 3_000_000)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs", str(objects)], check=False,
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            not_run.not_run("fault", f"cannot mount a tmpfs: {mounted.stderr.strip()}")
        try:
            for sub in ("objects", "tmp"):
                (objects / sub).mkdir(exist_ok=True)
            self.deliver(simple("small goes on"))
            with smtplib.SMTP(self.target.host, self.target.port("SMTP"), timeout=120) as client:
                client.ehlo("sender.test")
                client.mail("anna@sender.test")
                client.rcpt(self.user)
                code, text = client.data(large)
                self.assertEqual(code // 100, 4, (code, text))
            self.assertEqual([path for path in objects.rglob("*") if path.is_file()], [])
            client = self.imap()
            status, answer = client.append("INBOX", None, None, large)
            self.assertEqual(status, "NO", answer)
        finally:
            subprocess.run(["umount", str(objects)], check=True)
        self.deliver(large)
        found = self.bodies()
        self.assertEqual(len(found), 2)
        self.assert_same_mail(found[1], large)


    def test_certificates_replaced_while_sessions_live(self):
        tls = self.instance.state / "tls"
        imap, smtp = self.imap(), smtplib.SMTP_SSL(self.target.host, self.target.port("SUBMISSIONS"), context=self.tls())
        self.addCleanup(smtp.close)
        imap.select("INBOX")
        smtp.ehlo()

        def serials():
            found = {}
            for name in ("IMAPS", "SUBMISSIONS", "POP3S"):
                with socket.create_connection((self.target.host, self.target.port(name)), timeout=30) as plain:
                    with self.tls().wrap_socket(plain, server_hostname="localhost") as secure:
                        found[name] = secure.getpeercert()["serialNumber"]
            return found

        def complaints():
            logs = b"".join(path.read_bytes() for path in (self.instance.state / "logs").glob("*.log"))
            return {edge for edge in (b"imap", b"smtp", b"pop3")
                    if re.search(b'"%s_certificate_(unusable|kept)"[^\n]*server' % edge, logs)}

        def replace(name, octets):
            fresh = tls / (name + ".fresh")
            fresh.write_bytes(octets)
            fresh.chmod(0o600)
            fresh.rename(tls / name)

        before, key = serials(), (tls / "server.key").read_bytes()
        replace("server.key", (tls / "auth.key").read_bytes())  # half of a change: it is of no certificate
        try:
            give_up = time.monotonic() + 60
            while complaints() != {b"imap", b"smtp", b"pop3"}:
                self.assertLess(time.monotonic(), give_up, complaints())
                time.sleep(0.2)
            self.assertEqual(serials(), before)
        finally:
            replace("server.key", key)
        request = subprocess.run(["openssl", "req", "-new", "-key", tls / "server.key", "-subj", "/CN=localhost"], check=True,
                                 capture_output=True)
        made = subprocess.run(["openssl", "x509", "-req", "-CA", tls / "ca.pem", "-CAkey", tls / "ca.key", "-set_serial", "4711",
                               "-days", "30", "-extfile", self.path("names", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")],
                              input=request.stdout, check=True, capture_output=True)
        replace("server.pem", made.stdout)
        give_up = time.monotonic() + 60
        while {int(serial, 16) for serial in serials().values()} != {4711}:
            self.assertLess(time.monotonic(), give_up, serials())
            time.sleep(0.2)
        self.assertEqual(imap.noop()[0], "OK")
        self.assertEqual(smtp.noop()[0], 250)


class Configuration(MailTest):
    """`merpati --check-config` and a start with what is wrong: the error names it, and the exit code is not 0."""

    def setUp(self):
        super().setUp()
        if self.instance.adopted:
            self.skipTest("needs an instance of its own")
        self.binary = pathlib.Path(Processes(self.instance.state).commands[
            "auth" if self.instance.services else "merpati"][0][0])
        self.good = (self.instance.state / "services" / "auth.yaml" if self.instance.services
                     else self.instance.state / "merpati.yaml").read_text()
        self.service = ["auth"] if self.instance.services else []

    def check(self, text, *arguments):
        config = self.path("config.yaml", text)
        return self.run_program(self.binary, *self.service, "--config", config, *arguments, check=False, timeout=60)

    def test_a_good_one(self):
        done = self.check(self.good, "--check-config")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_wrong_ones_are_named(self):
        cases = {
            "unknown key": (self.good + "\nfrobnicate: 1\n", b"frobnicate"),
            "unknown key inside": (self.good.replace("endpoint_delay", "endpoint_dely"), b"endpoint_dely"),
            "not YAML": (self.good + "\n  - {", b"config.yaml"),
            "a word for a number": (self.good.replace("http: {address: \"127.0.0.1\", port: ", "http: {address: \"127.0.0.1\", port: x"), b"port"),
            "bad duration": (self.good.replace("grace_period: 20s", "grace_period: soon"), b"grace_period"),
            "missing secret file": (self.good.replace("secrets/dsn-auth", "secrets/dsn-nowhere"), b"dsn-nowhere"),
        }
        for name, (text, word) in cases.items():
            with self.subTest(name):
                self.assertNotEqual(text, self.good, "the case changes nothing")
                done = self.check(text, "--check-config")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(word, done.stdout + done.stderr)

    def test_a_missing_file(self):
        done = self.run_program(self.binary, *self.service, "--config", self.folder / "nowhere.yaml", check=False, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"nowhere.yaml", done.stdout + done.stderr)

    def test_a_database_that_is_not_there(self):
        dsn = self.path("dsn", "host=/nowhere dbname=merpati user=merpati connect_timeout=2")
        text = self.good
        for name in ("auth", "store", "queue", "filter", "admin"):
            text = text.replace(f"{self.instance.state}/secrets/dsn-{name}", dsn)
        text = re.sub(r"\bport: \d+", lambda _: f"port: {free_ports(1)[0]}", text)  # other ports than the running instance's
        process = subprocess.Popen([str(self.binary), *self.service, "--config", self.path("config.yaml", text)],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output, _ = process.communicate(timeout=30)
            self.assertNotEqual(process.returncode, 0, output)
        except subprocess.TimeoutExpired:  # or it waits, not ready, and says why
            process.kill()
            output, _ = process.communicate()
        self.assertIn(b"/nowhere", output)


def main():
    arguments = sys.argv[1:]
    services = "--services" in arguments
    names = [name for name in arguments if not name.startswith("-")]
    loader = unittest.defaultTestLoader
    module = sys.modules["__main__"]
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    with Instance(services=services) as instance:
        MailTest.target, MailTest.instance = instance.target, instance
        result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)


main()
