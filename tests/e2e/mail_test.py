"""What the cases share: accounts, files, running a program, looking at a mailbox over IMAP."""
import hashlib
import imaplib
import os
import pathlib
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import time
import unittest

import not_run

imaplib._MAXLINE = 10_000_000  # its default of 1 MB is for lines; FETCH answers of many messages are longer

# Header fields that a server puts before a message it delivers (RFC 5321 4.4, RFC 8601).
TRACE_FIELDS = {b"return-path", b"delivered-to", b"received", b"authentication-results", b"x-original-to"}


def without_trace(message):
    """The message without the trace fields at its start."""
    rest = message
    while True:
        end = rest.find(b"\r\n")
        name = rest[:end].split(b":", 1)[0].lower() if end > 0 else b""
        if name not in TRACE_FIELDS:
            return rest
        rest = rest[end + 2:]
        while rest[:1] in (b" ", b"\t"):
            rest = rest[rest.find(b"\r\n") + 2:]


class MailTest(unittest.TestCase):
    target = None
    instance = None
    programs = ()  # what the case runs

    @classmethod
    def setUpClass(cls):
        not_run.need_programs("e2e", *cls.programs)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="merpati-case-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.user = self.target.account()

    def need_plaintext_login(self):
        """For what logs in without TLS, as ./dev allows on loopback; a target that does not says PLAINTEXT_LOGIN=no."""
        if self.target.env.get("PLAINTEXT_LOGIN") == "no":
            self.skipTest("the target takes no password without TLS")

    def path(self, name, text=None, mode=0o600):
        path = self.folder / name
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            path.chmod(mode)
        return str(path)

    def run_program(self, *command, stdin=b"", timeout=90, check=True, env=None):
        environment = dict(os.environ, HOME=str(self.folder), LC_ALL="C.UTF-8", **(env or {}))
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            environment.pop(name, None)
        done = subprocess.run([str(part) for part in command], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment, cwd=self.folder, timeout=timeout, check=False)
        if check and done.returncode != 0:
            self.fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n"
                      f"{done.stdout.decode(errors='replace')[-3000:]}\n{done.stderr.decode(errors='replace')[-3000:]}")
        return done

    def tls(self):
        return ssl.create_default_context(cafile=self.target.ca_file or None)

    def imap(self, user=None):
        client = imaplib.IMAP4_SSL(self.target.host, self.target.port("IMAPS"), ssl_context=self.tls(), timeout=60)
        self.addCleanup(self.close_imap, client)
        client.login(user or self.user, self.target.password)
        return client

    @staticmethod
    def close_imap(client):
        try:
            client.shutdown()
        except OSError:
            pass

    def deliver(self, message, user=None, sender="anna@sender.test", options=()):
        """From outside, by the MX port. Returns when the server said 250."""
        with smtplib.SMTP(self.target.host, self.target.port("SMTP"), timeout=120) as client:
            client.ehlo("sender.test")
            code, text = client.mail(sender, options)
            self.assertEqual(code, 250, text)
            code, text = client.rcpt(user or self.user)
            self.assertEqual(code, 250, text)
            code, text = client.data(message)
            self.assertEqual(code, 250, text)

    def bodies(self, user=None, mailbox="INBOX", client=None):
        """Every message of a mailbox, whole, in order of UID."""
        client = client or self.imap(user)
        status, answer = client.select(mailbox, readonly=True)
        self.assertEqual(status, "OK", answer)
        if answer == [b"0"]:
            return []
        status, answer = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        self.assertEqual(status, "OK", answer)
        return [part[1] for part in answer if isinstance(part, tuple)]

    def wait_for_bodies(self, count, user=None, mailbox="INBOX", seconds=30):
        """As bodies(), once there are `count`: for mail that goes through a queue."""
        give_up = time.monotonic() + seconds
        while True:
            found = self.bodies(user, mailbox)
            if len(found) >= count or time.monotonic() > give_up:
                self.assertEqual(len(found), count, f"messages in {mailbox} of {user or self.user}")
                return found
            time.sleep(0.2)

    def assert_same_mail(self, found, sent, name=""):
        """`found` is `sent` behind trace fields, byte for byte."""
        rest = without_trace(found)
        if hashlib.sha256(rest).digest() == hashlib.sha256(sent).digest():
            return
        at = next((i for i, (a, b) in enumerate(zip(rest, sent)) if a != b), min(len(rest), len(sent)))
        self.fail(f"{name}: {len(sent)} octets sent, {len(rest)} found behind the trace fields; they differ at {at}: "
                  f"sent {sent[max(0, at - 40):at + 40]!r}, found {rest[max(0, at - 40):at + 40]!r}")
