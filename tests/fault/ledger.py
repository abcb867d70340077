"""A ledger of what each client was told, compared afterwards with what IMAP gives back.

Every message has an id of its own in X-Ledger and is sent once, whatever happens. Its outcome is one of
  acknowledged  the final 250 (or OK to APPEND) arrived: the message must be there exactly once, byte for byte
  refused       a reply said no: counted apart when the message is there all the same
  in_doubt      the connection was lost after the last octet was on its way: there once or not at all (RFC 1047)
  not_sent      lost or refused before the last octet: must not be there
A recipient elsewhere is an SMTP sink, and has an address of its own for each message. What was acknowledged must reach it;
a sender that dies between the sink's 250 and its own commit sends again (RFC 5321 6.1 prefers that to a loss), so copies
beyond the first are only counted there. What the sink refuses must come back to its sender as one bounce.
Behind some aliases stands also somebody whose mailbox is full: who can have the message has it once, the rest waits in the queue.
"""
import base64
import collections
import dataclasses
import hashlib
import imaplib
import random
import smtplib
import ssl
import subprocess
import threading
import time

from processes import PATIENCE
from smtp_sink import REFUSED

imaplib._MAXLINE = 10_000_000
SINK_DOMAIN = "sink.test"
MARK = b"X-Ledger: "
FULL = "full-and-"  # before an account's address: an alias of it and of somebody who is full
# What is sent, in turn: the way, and whether it is large enough for the object store.
MOSTLY_ARRIVING = ([("mx", False)] * 4 + [("append", False), ("mx", False), ("submission", False)]) * 2 + [
    ("mixed", False), ("mx", True), ("mx", False), ("append", False), ("bounced", False), ("mx", False), ("partial", False)]
EVERY_WAY = [("mixed", False), ("mx", True), ("append", False), ("bounced", False), ("mx", False), ("mixed", True),
             ("append", True), ("submission", False), ("partial", False), ("partial", True)]
# Short times, so that what a killed sender left behind is taken up while the test still looks.
QUEUE_ENVIRONMENT = {"MERPATI_QUEUE__RETRY_FIRST": "1s", "MERPATI_QUEUE__LEASE": "5s", "MERPATI_QUEUE__HELD_CHECK": "5s"}


def environment_for(sink):
    return dict(QUEUE_ENVIRONMENT, MERPATI_QUEUE__ROUTES=f'["{SINK_DOMAIN}={sink.address}:{sink.port}"]')


@dataclasses.dataclass
class Entry:
    id: str
    recipients: list
    digest: bytes
    way: str  # mx, submission, append, mixed (one recipient is elsewhere), bounced (and is refused there), partial (one is full)
    outcome: str = "not_sent"
    reply: str = ""
    bounce_to: str = ""  # who gets the bounce, if the way ends in one
    alias: str = ""  # sent there, and not to the recipients themselves


def make_message(rng, number, identity, sender, large):
    size = rng.randrange(70_000, 700_000) if large else rng.choice([200, 1500, 4000, 4000, 9000])
    body = base64.encodebytes(rng.randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    body += b".\r\n..\r\n.a line that starts with a dot\r\n" * rng.randrange(2)  # RFC 5321 4.5.2
    head = (f"X-Ledger: {identity}\r\nDate: Mon, 02 Nov 2026 10:11:12 +0100\r\nMessage-ID: <{identity}@ledger.test>\r\n"
            f"From: <{sender}>\r\nTo: <ledger@example.test>\r\nSubject: ledger {number}\r\n\r\n")
    return head.encode() + body


def compose(rng, number, way, large, template, mailboxes):
    """A new entry, its octets, and the account that submits it."""
    identity = f"{number}-{rng.getrandbits(64):016x}"
    people = rng.sample(range(1, mailboxes + 1), rng.choice([1, 1, 1, 2, 3]) if way == "mx" else 1)
    recipients = [template % person for person in people]
    user = template % rng.randrange(1, mailboxes + 1)
    if way == "mixed":
        recipients.append(f"r{identity}@{SINK_DOMAIN}")
    elif way == "bounced":
        recipients.append(f"{REFUSED}{identity}@{SINK_DOMAIN}")
    outside = way in ("mx", "append", "partial")
    message = make_message(rng, number, identity, "anna@sender.test" if outside else user, large)
    entry = Entry(identity, recipients, hashlib.sha256(message).digest(), way, bounce_to=user if way == "bounced" else "",
                  alias=FULL + recipients[0] if way == "partial" else "")
    return entry, message, user


def from_ledger_on(message):
    """The message without what servers put before it."""
    at = message.find(MARK)
    return message[at:] if at >= 0 else b""


def sort_out(messages):
    """What a mailbox holds: (id -> list of digests, id -> number of bounces about it)."""
    found, bounces = collections.defaultdict(list), collections.Counter()
    for whole in messages:
        message = from_ledger_on(whole)
        identity = message[len(MARK):message.find(b"\r\n")].decode()
        if b"multipart/report" in whole[:whole.find(b"\r\n\r\n")]:
            bounces[identity] += 1
        else:
            found[identity].append(hashlib.sha256(message).digest())
    return found, bounces


class Client(threading.Thread):
    """One connection after another; takes the next number until none is left."""

    def __init__(self, work, seed):
        super().__init__(daemon=True)
        self.work, self.rng = work, random.Random(seed)
        self.connection = None
        self.failure = None

    def run(self):
        try:
            while True:
                number = self.work.next_number()
                if number is None:
                    return
                self.one(number)
                time.sleep(self.work.pause)
                if self.rng.random() < 0.1:
                    self.drop()
        except BaseException as error:  # told by the main thread
            self.failure = error
            raise
        finally:
            self.drop()

    def drop(self):
        connection, self.connection = self.connection, None
        if connection is not None:
            try:
                connection.close() if isinstance(connection, smtplib.SMTP) else connection.shutdown()
            except OSError:
                pass

    def one(self, number):
        way, large = self.work.mix[number % len(self.work.mix)]
        if way in ("mixed", "bounced") and not self.work.sink:
            way = "submission"
        if way == "partial" and not self.work.has_full:
            way = "mx"
        entry, message, user = compose(self.rng, number, way, large, self.work.target.template, self.work.mailboxes)
        self.work.entries.append(entry)
        send = {"mx": self.by_mx, "partial": self.by_mx, "append": self.by_append}.get(way, self.by_submission)
        for _ in range(600):  # until a connection stands; nothing of the message has been sent before
            try:
                send(entry, message, user)
                return
            except NotConnected:
                self.drop()
                time.sleep(0.05)
        raise RuntimeError("the server does not come back")

    # --- SMTP

    def by_mx(self, entry, message, user):
        self.smtp(entry, message, "anna@sender.test", ("SMTP", None))

    def by_submission(self, entry, message, user):
        self.smtp(entry, message, user, ("SUBMISSION", user))

    def smtp(self, entry, message, sender, kind):
        client = self.smtp_connection(kind)
        try:
            code, text = client.mail(sender)
            if code == 250:
                for recipient in [entry.alias] if entry.alias else list(entry.recipients):
                    code, text = client.rcpt(recipient)
                    if code != 250:
                        break
            if code == 250:
                code, text = client.docmd("DATA")
            if code != 354:
                entry.outcome, entry.reply = "not_sent", f"{code} {text!r}"
                if code == 421:
                    self.drop()
                else:
                    client.rset()
                return
        except (OSError, smtplib.SMTPException) as error:
            entry.outcome, entry.reply = "not_sent", repr(error)
            self.drop()
            return
        try:
            client.sock.sendall(smtplib._quote_periods(message) + b".\r\n")
        except OSError as error:  # the end mark may or may not have left the kernel
            entry.outcome, entry.reply = "in_doubt", repr(error)
            self.drop()
            return
        try:
            code, text = client.getreply()
        except (OSError, smtplib.SMTPException) as error:
            entry.outcome, entry.reply = "in_doubt", repr(error)
            self.drop()
            return
        entry.reply = f"{code} {text!r}"
        entry.outcome = "acknowledged" if code == 250 else "refused"
        if code == 421:
            self.drop()

    def smtp_connection(self, kind):
        if isinstance(self.connection, smtplib.SMTP) and self.connection.ledger_kind == kind:
            return self.connection
        self.drop()
        target = self.work.target
        port, user = kind
        try:
            client = smtplib.SMTP(*target.address(port), timeout=60)
            client.ledger_kind = kind
            self.connection = client
            client.ehlo("sender.test")
            if user:
                client.starttls(context=self.work.tls())
                client.login(user, target.password)
            return client
        except (OSError, smtplib.SMTPException) as error:
            raise NotConnected from error

    # --- IMAP

    def by_append(self, entry, message, user):
        account = entry.recipients[0]
        client = self.imap_connection(account)
        try:
            client.append("INBOX", None, None, message)
            entry.outcome = "acknowledged" if client.state != "LOGOUT" and self.last_ok(client) else "refused"
        except imaplib.IMAP4.readonly:
            raise
        except imaplib.IMAP4.abort as error:
            entry.outcome, entry.reply = "in_doubt", repr(error)
            self.drop()
        except (OSError, imaplib.IMAP4.error) as error:
            entry.outcome, entry.reply = ("refused" if isinstance(error, imaplib.IMAP4.error) else "in_doubt"), repr(error)
            self.drop()

    @staticmethod
    def last_ok(client):
        return client.ledger_status == "OK"

    def imap_connection(self, account):
        if isinstance(self.connection, imaplib.IMAP4) and self.connection.ledger_account == account:
            return self.connection
        self.drop()
        try:
            client = LedgerImap(*self.work.target.address("IMAPS"), ssl_context=self.work.tls(), timeout=60)
            client.ledger_account = account
            self.connection = client
            client.login(account, self.work.target.password)
            return client
        except (OSError, imaplib.IMAP4.error) as error:
            raise NotConnected from error


class LedgerImap(imaplib.IMAP4_SSL):
    """Remembers the status of the last APPEND."""
    ledger_status = ""

    def append(self, *arguments):
        self.ledger_status = ""
        self.ledger_status, answer = super().append(*arguments)
        return self.ledger_status, answer


class NotConnected(Exception):
    pass


class Work:
    def __init__(self, target, total, mailboxes, connections, seed, sink=None, mix=None):
        self.mix = mix or MOSTLY_ARRIVING
        self.target, self.total, self.mailboxes, self.sink = target, total, mailboxes, sink
        self.entries = []  # append is atomic
        self.has_full = False
        self.pause = 0  # seconds between two messages of a client
        self.lock = threading.Lock()
        self.given = 0
        self.clients = [Client(self, f"{seed}-{number}") for number in range(connections)]

    def make_full(self):
        """Somebody who is full from the start, and for each account an alias of both."""
        if "CTL_CONTEXT" not in self.target.env:
            return
        self.has_full = True

        def ctl(*arguments):
            subprocess.run([self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], *arguments], check=True,
                           stdout=subprocess.DEVNULL)

        full = "full@" + self.target.domain
        ctl("account", "create", full, "--no-password", "--quota", "1", "--if-missing")
        for person in range(1, self.mailboxes + 1):
            account = self.target.template % person
            ctl("alias", "create", FULL + account, account, full, "--replace")

    def tls(self):
        return ssl.create_default_context(cafile=self.target.ca_file or None)

    def next_number(self):
        with self.lock:
            if self.given >= self.total:
                return None
            self.given += 1
            return self.given

    def start(self):
        for client in self.clients:
            client.start()

    def join(self):
        for client in self.clients:
            client.join()
        failures = [client.failure for client in self.clients if client.failure]
        if failures:
            raise failures[0]

    def read_mailbox(self, account):
        """As sort_out does."""
        client = self.login(account)
        try:
            messages = []
            count = int(client.select("INBOX", readonly=True)[1][0])
            for first in range(1, count + 1, 100):
                answer = client.fetch(f"{first}:{min(first + 99, count)}", "(BODY.PEEK[])")[1]
                messages += [part[1] for part in answer if isinstance(part, tuple)]
            return sort_out(messages)
        finally:
            client.shutdown()

    def login(self, account, patience=30):
        """A session; waits while a backend that was killed last comes back (the server says UNAVAILABLE meanwhile)."""
        give_up = time.monotonic() + patience * PATIENCE
        while True:
            try:
                client = imaplib.IMAP4_SSL(*self.target.address("IMAPS"), ssl_context=self.tls(), timeout=120)
                client.login(account, self.target.password)
                return client
            except (imaplib.IMAP4.error, OSError) as error:
                if isinstance(error, imaplib.IMAP4.error) and "UNAVAILABLE" not in str(error):
                    raise
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.3)

    def check(self, patience=90):
        """The list of what is wrong; empty when every promise was kept. Prints the sums."""
        give_up = time.monotonic() + patience
        while True:
            mailboxes, bounces = {}, {}
            for person in range(1, self.mailboxes + 1):
                account = self.target.template % person
                mailboxes[account], bounces[account] = self.read_mailbox(account)
            problems, sums = self.compare(mailboxes, self.read_sink(), bounces)
            # A submission may still be on its way through the queue.
            if not any(": lost" in problem for problem in problems) or time.monotonic() > give_up:
                break
            time.sleep(2)
        print("ledger: " + ", ".join(f"{count} {name}" for name, count in sorted(sums.items())), flush=True)
        return problems

    def read_sink(self):
        """recipient -> digests, as of now."""
        if not self.sink:
            return {}
        with self.sink.lock:
            return {recipient: [hashlib.sha256(from_ledger_on(message)).digest() for message in messages]
                    for recipient, messages in self.sink.messages.items()}

    def compare(self, mailboxes, elsewhere=None, bounces=None):
        elsewhere, bounces = elsewhere or {}, bounces or {}
        problems, sums = [], collections.Counter()
        for entry in self.entries:
            sums[entry.outcome] += 1
            for recipient in entry.recipients:
                remote = recipient.endswith("@" + SINK_DOMAIN)
                copies = elsewhere.get(recipient, []) if remote else mailboxes[recipient].get(entry.id, [])
                what = f"{entry.way} {entry.id} for {recipient} ({entry.outcome}, {entry.reply})"
                if any(copy != entry.digest for copy in copies):
                    problems.append(f"{what}: changed")
                if len(copies) > 1 and remote:
                    sums["copies sent again to the remote host"] += len(copies) - 1
                elif len(copies) > 1:
                    problems.append(f"{what}: {len(copies)} copies")
                if remote and entry.bounce_to:
                    self.compare_bounce(entry, what, bounces.get(entry.bounce_to, {}).get(entry.id, 0), problems, sums)
                    continue
                if entry.outcome == "acknowledged" and not copies:
                    problems.append(f"{what}: lost")
                if entry.outcome == "not_sent" and copies:
                    problems.append(f"{what}: there, although it was never sent whole")
                if entry.outcome == "refused" and copies:
                    sums["copies there although refused"] += 1
                if entry.outcome == "in_doubt" and copies:
                    sums["copies there of those in doubt"] += 1
            places = [account for account, found in mailboxes.items() if entry.id in found]
            if any(place not in entry.recipients for place in places):
                problems.append(f"{entry.id}: in the mailbox of somebody else: {places}")
            places = [account for account, found in bounces.items() if entry.id in found]
            if any(place != entry.bounce_to for place in places):
                problems.append(f"{entry.id}: a bounce that nobody is owed: {places}")
        self.compare_unknown({**mailboxes, **{f"bounces of {account}": found for account, found in bounces.items()}},
                             elsewhere, problems)
        return problems, sums

    @staticmethod
    def compare_bounce(entry, what, count, problems, sums):
        sums["bounces"] += count
        if count > 1:
            problems.append(f"{what}: {count} bounces")
        if entry.outcome == "acknowledged" and count == 0:
            problems.append(f"{what}: lost, no bounce")
        if entry.outcome == "not_sent" and count > 0:
            problems.append(f"{what}: bounced, although it was never sent whole")

    def compare_unknown(self, mailboxes, elsewhere, problems):
        known = {entry.id for entry in self.entries}
        for account, found in mailboxes.items():
            problems += [f"{account}: a message that nobody sent: {identity}" for identity in found if identity not in known]
        addresses = {recipient for entry in self.entries for recipient in entry.recipients}
        problems += [f"{address}: nobody wrote there" for address in elsewhere if address not in addresses]
