"""Clients of test degraded: each does one thing over and over, in a session that it keeps, and notes what it was told."""
import dataclasses
import imaplib
import os
import poplib
import random
import smtplib
import socket
import ssl
import subprocess
import threading
import time

PATIENCE = 30  # seconds until a client gives up: far beyond what is allowed, so that the test sees how long it was
PAUSE = 0.1
CALM = 2.0  # seconds without a failure

imaplib._MAXLINE = 10_000_000


class Refused(Exception):
    """A clear answer that says no."""


LOST = (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto, subprocess.TimeoutExpired)


@dataclasses.dataclass
class Attempt:
    began: float
    ended: float
    took: float  # seconds until the answer that was waited for longest
    verdict: str  # ok, refused (a clear answer), lost (the connection ended, or nothing came)
    text: str = ""


class Client(threading.Thread):
    """`work` does it once; `open` makes the session that the next ones share."""
    pause = PAUSE

    def __init__(self, name, target):
        super().__init__(daemon=True)
        self.name, self.target = name, target
        self.attempts, self.ending, self.session, self.sessions = [], False, None, 0
        self.longest = None  # of an attempt's answers, where it consists of several

    def open(self):
        return True

    def work(self):
        raise NotImplementedError

    def run(self):
        while not self.ending:
            began, self.longest = time.monotonic(), None
            try:
                if self.session is None:
                    self.session = self.open()
                    self.sessions += 1
                self.work()
                self.note(began, "ok")
            except Refused as error:
                self.note(began, "refused", str(error))
            except LOST as error:
                self.session = None
                self.note(began, "lost", repr(error))
            time.sleep(self.pause)

    def note(self, began, verdict, text=""):
        ended = time.monotonic()
        self.attempts.append(Attempt(began, ended, ended - began if self.longest is None else self.longest, verdict, text))

    def timed(self, call, *arguments):
        began = time.monotonic()
        try:
            return call(*arguments)
        finally:
            self.longest = max(self.longest or 0.0, time.monotonic() - began)

    def tls(self):
        return ssl.create_default_context(cafile=self.target.ca_file)

    def since(self, moment):
        return [attempt for attempt in list(self.attempts) if attempt.ended >= moment]


def lines_of(rng, size):
    return [rng.randbytes(35).hex() for _ in range(max(1, size // 72))]


# --- SMTP


class Sends(Client):
    """Mail from outside, again and again in one session."""

    def __init__(self, name, target, recipient, size=500, port=None):
        super().__init__(name, target)
        self.recipient, self.port, self.count, self.renewed = recipient, port or target.port("SMTP"), 0, 0
        self.body = "".join(line + "\r\n" for line in lines_of(random.Random(name), size))
        self.acknowledged = []

    def open(self):
        client = smtplib.SMTP(self.target.host, self.port, timeout=PATIENCE)
        client.ehlo("sender.test")
        return client

    def to(self):
        return self.recipient

    def work(self):
        self.renew_in_time()
        client, self.count = self.session, self.count + 1
        identity = f"{self.name.replace(' ', '-')}-{self.count}"
        self.said(self.timed(client.mail, "anna@sender.test"))
        recipient = self.to()
        self.said(self.timed(client.rcpt, recipient))
        self.said(self.timed(client.docmd, "DATA"), 354)
        content = (f"From: anna@sender.test\r\nMessage-ID: <{identity}@degraded.test>\r\nSubject: {identity}\r\n"
                    f"Date: Mon, 02 Nov 2026 10:11:12 +0100\r\n\r\n{self.body}.\r\n").encode()
        self.said(self.timed(self.send, content))
        self.acknowledged.append((identity, recipient))

    def send(self, content):
        self.session.send(content)
        return self.session.getreply()

    def renew_in_time(self):
        """A session ends after 1000 messages, refused ones too."""
        if self.count < self.renewed + 500:
            return
        self.renewed = self.count
        self.session.quit()
        self.session = self.open()

    def said(self, reply, expected=250):
        code, text = reply
        if code == expected:
            return
        if code == 421:
            raise smtplib.SMTPServerDisconnected(f"{code} {text!r}")
        self.session.rset()
        raise Refused(f"{code} {text.decode()}")


class AsksForNew(Sends):
    """A recipient that nobody has asked for before."""

    def work(self):
        self.renew_in_time()
        self.count += 1
        self.said(self.timed(self.session.mail, "anna@sender.test"))
        user, domain = self.recipient.split("@")
        self.said(self.timed(self.session.rcpt, f"{user}+{self.count}-{random.randrange(10**9)}@{domain}"))
        self.said(self.timed(self.session.docmd, "RSET"))


class Submits(Sends):
    """Logs in and sends to somebody elsewhere, in a session of its own each time."""

    def __init__(self, name, target, user, domain):
        super().__init__(name, target, None)
        self.user, self.domain = user, domain

    def to(self):
        return f"{self.name.replace(' ', '-')}{self.count}@{self.domain}"

    def open(self):
        client = smtplib.SMTP(*self.target.address("SUBMISSION"), timeout=PATIENCE)
        try:
            client.ehlo("sender.test")
            client.starttls(context=self.tls())
            self.timed(client.login, self.user, self.target.password)
            return client
        except smtplib.SMTPAuthenticationError as error:
            raise Refused(f"{error.smtp_code} {error.smtp_error.decode()}") from error

    def work(self):
        try:
            self.count += 1
            client = self.session
            self.said(self.timed(client.mail, self.user))
            recipient = self.to()
            self.said(self.timed(client.rcpt, recipient))
            self.said(self.timed(client.docmd, "DATA"), 354)
            content = f"From: {self.user}\r\nSubject: {self.count}\r\n\r\nhello\r\n.\r\n".encode()
            self.said(self.timed(self.send, content))
            self.acknowledged.append(("", recipient))
        finally:
            session, self.session = self.session, None
            session.close()


# --- IMAP


class Imap(Client):
    def __init__(self, name, target, user, command=None):
        super().__init__(name, target)
        self.user, self.command = user, command

    def open(self):
        client = imaplib.IMAP4(self.target.host, self.target.port("IMAP"), timeout=PATIENCE)
        try:
            self.answered(lambda: client.login(self.user, self.target.password))
        except Refused:
            client.shutdown()
            raise
        return client

    @staticmethod
    def answered(call):
        """The answer's data. NO is a clear answer; imaplib tells it by an exception for some commands."""
        try:
            status, data = call()
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            raise Refused(str(error)) from error
        if status != "OK":
            raise Refused(f"{status} {data}")
        return data


class Asks(Imap):
    """One command over and over in one session; `check` looks at its answer."""

    def __init__(self, name, target, user, folder, command, check):
        super().__init__(name, target, user, command)
        self.folder, self.check = folder, check

    def open(self):
        client = super().open()
        self.answered(lambda: client.select(self.folder))
        return client

    def work(self):
        data = self.answered(lambda: self.command(self.session))
        if not self.check(data):
            raise OSError(f"a wrong answer: {str(data)[:200]}")


class LogsIn(Imap):
    def work(self):
        session, self.session = self.session, None
        session.shutdown()


class Appends(Imap):
    def work(self):
        message = b"Subject: appended\r\n\r\nhello\r\n"
        self.answered(lambda: self.session.append("Appended", None, None, message))


class Idles(Client):
    """One session in IDLE; notes when it was told of new mail."""

    def __init__(self, name, target, user):
        super().__init__(name, target)
        self.user, self.told = user, []

    def open(self):
        lines = socket.create_connection(self.target.address("IMAP"), timeout=PATIENCE).makefile("rwb", buffering=0)
        lines.readline()
        for number, command in enumerate([f"LOGIN {self.user} {self.target.password}", "SELECT INBOX"]):
            lines.write(f"{number} {command}\r\n".encode())
            while not (line := lines.readline()).startswith(f"{number} ".encode()):
                if not line:
                    raise EOFError
            if b" OK " not in line:
                raise Refused(line.decode())
        lines.write(b"I IDLE\r\n")
        return lines

    def work(self):
        line = self.session.readline()
        if not line or line.startswith((b"* BYE", b"I ")):
            raise EOFError(f"{line!r}")
        if line.endswith(b"EXISTS\r\n"):
            self.told.append(time.monotonic())


# --- POP3


class Pop3LogsIn(Client):
    def __init__(self, name, target, user):
        super().__init__(name, target)
        self.user = user

    def open(self):
        client = poplib.POP3(self.target.host, self.target.port("POP3"), timeout=PATIENCE)
        try:
            self.answered(lambda: client.user(self.user))
            self.answered(lambda: client.pass_(self.target.password))
            return client
        except BaseException:
            client.close()
            raise

    @staticmethod
    def answered(call):
        try:
            return call()
        except poplib.error_proto as error:
            if error.args and isinstance(error.args[0], bytes) and error.args[0].startswith(b"-ERR"):
                raise Refused(error.args[0].decode()) from error
            raise

    def work(self):
        session, self.session = self.session, None
        self.answered(session.quit)


class Pop3Reads(Pop3LogsIn):
    """RETR of one message in one session."""

    def __init__(self, name, target, user, number, octets):
        super().__init__(name, target, user)
        self.number, self.octets = number, octets

    def work(self):
        _, _, octets = self.answered(lambda: self.session.retr(self.number))
        if octets < self.octets:
            raise OSError(f"only {octets} octets")


# --- merpatictl


class Operates(Client):
    pause = 0.3

    def work(self):
        done = subprocess.run([self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], "domain", "list"],
                              capture_output=True, text=True, check=False, timeout=PATIENCE, env=dict(os.environ))
        if done.returncode != 0:
            raise Refused(done.stderr.strip() or done.stdout.strip())


def wait_calm(clients, since, patience):
    """Until everything has worked for CALM seconds; the names of those that have not in time. A session in IDLE is only told things."""
    give_up = time.monotonic() + patience
    while True:
        now = time.monotonic()
        restless = [client.name for client in clients if client.name != "imap idle" and not works(client, max(since, now - CALM))]
        if not restless or now > give_up:
            return restless
        time.sleep(0.1)


def works(client, since):
    attempts = client.since(since)
    return attempts and all(attempt.verdict == "ok" for attempt in attempts) and time.monotonic() - since >= CALM
