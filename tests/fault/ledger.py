"""A ledger of what each client was told, compared afterwards with what IMAP gives back.

Every message has an id of its own in X-Ledger and is sent once, whatever happens. Its outcome is one of
  acknowledged  the final 250 (or OK to APPEND) arrived: the message must be there exactly once, byte for byte
  refused       a reply said no: counted apart when the message is there all the same
  in_doubt      the connection was lost after the last octet was on its way: there once or not at all (RFC 1047)
  not_sent      lost or refused before the last octet: must not be there
A recipient elsewhere is an SMTP sink. What was acknowledged must reach it; a sender that dies between the sink's 250 and
its own commit sends again (RFC 5321 6.1 prefers that to a loss), so copies beyond the first are only counted there.
"""
import base64
import collections
import dataclasses
import hashlib
import imaplib
import random
import smtplib
import ssl
import threading
import time

imaplib._MAXLINE = 10_000_000
SINK_DOMAIN = "sink.test"
# Short times, so that what a killed sender left behind is taken up while the test still looks.
QUEUE_ENVIRONMENT = {"MERPATI_QUEUE__RETRY_FIRST": "1s", "MERPATI_QUEUE__LEASE": "5s", "MERPATI_QUEUE__HELD_CHECK": "5s"}


def environment_for(sink):
    return dict(QUEUE_ENVIRONMENT, MERPATI_QUEUE__ROUTES=f'["{SINK_DOMAIN}=127.0.0.1:{sink.port}"]')


@dataclasses.dataclass
class Entry:
    id: str
    recipients: list
    digest: bytes
    way: str  # mx, submission, append
    outcome: str = "not_sent"
    reply: str = ""


def make_message(rng, number, sender):
    """Mostly small, one in twenty large enough for the object store."""
    size = rng.choice([200, 1500, 4000, 4000, 9000]) if rng.random() > 0.05 else rng.randrange(70_000, 700_000)
    body = base64.encodebytes(rng.randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    identity = f"{number}-{rng.getrandbits(64):016x}"
    head = (f"X-Ledger: {identity}\r\nDate: Mon, 02 Nov 2026 10:11:12 +0100\r\nMessage-ID: <{identity}@ledger.test>\r\n"
            f"From: <{sender}>\r\nTo: <ledger@example.test>\r\nSubject: ledger {number}\r\n\r\n")
    return identity, head.encode() + body


def from_ledger_on(message):
    """The message without what servers put before it."""
    at = message.find(b"X-Ledger: ")
    return message[at:] if at >= 0 else b""


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
        target = self.work.target
        weights = [0.7, 0.1, 0.15, 0.05 if self.work.sink else 0]
        way = self.rng.choices(["mx", "submission", "append", "mixed"], weights)[0]
        people = self.rng.sample(range(1, self.work.mailboxes + 1), self.rng.choice([1, 1, 1, 2, 3]) if way == "mx" else 1)
        recipients = [target.template % person for person in people]
        user = target.template % self.rng.randrange(1, self.work.mailboxes + 1)
        if way == "mixed":
            recipients.append(f"r{number}@{SINK_DOMAIN}")
        identity, message = make_message(self.rng, number, user if way in ("submission", "mixed") else "anna@sender.test")
        entry = Entry(identity, recipients, hashlib.sha256(message).digest(), way)
        self.work.entries.append(entry)
        send = {"mx": self.by_mx, "submission": self.by_submission, "append": self.by_append, "mixed": self.by_submission}[way]
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
                for recipient in list(entry.recipients):
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
            client = smtplib.SMTP(target.host, target.port(port), timeout=60)
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
            client = LedgerImap(self.work.target.host, self.work.target.port("IMAPS"), ssl_context=self.work.tls(), timeout=60)
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
    def __init__(self, target, total, mailboxes, connections, seed, sink=None):
        self.target, self.total, self.mailboxes, self.sink = target, total, mailboxes, sink
        self.entries = []  # append is atomic
        self.lock = threading.Lock()
        self.given = 0
        self.clients = [Client(self, f"{seed}-{number}") for number in range(connections)]

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
        """id -> list of digests."""
        client = self.login(account)
        try:
            found = collections.defaultdict(list)
            count = int(client.select("INBOX", readonly=True)[1][0])
            for first in range(1, count + 1, 100):
                answer = client.fetch(f"{first}:{min(first + 99, count)}", "(BODY.PEEK[])")[1]
                for part in answer:
                    if isinstance(part, tuple):
                        message = from_ledger_on(part[1])
                        identity = message[10:message.find(b"\r\n")].decode()
                        found[identity].append(hashlib.sha256(message).digest())
            return found
        finally:
            client.shutdown()

    def login(self, account, patience=30):
        """A session; waits while a backend that was killed last comes back (the server says UNAVAILABLE meanwhile)."""
        give_up = time.monotonic() + patience
        while True:
            try:
                client = imaplib.IMAP4_SSL(self.target.host, self.target.port("IMAPS"), ssl_context=self.tls(), timeout=120)
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
            mailboxes = {}
            for person in range(1, self.mailboxes + 1):
                account = self.target.template % person
                mailboxes[account] = self.read_mailbox(account)
            problems, sums = self.compare(mailboxes, self.read_sink())
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

    def compare(self, mailboxes, elsewhere=None):
        problems, sums = [], collections.Counter()
        known = set()
        for entry in self.entries:
            sums[entry.outcome] += 1
            known.add(entry.id)
            for recipient in entry.recipients:
                remote = recipient.endswith("@" + SINK_DOMAIN)
                copies = (elsewhere or {}).get(recipient, []) if remote else mailboxes[recipient].get(entry.id, [])
                what = f"{entry.way} {entry.id} for {recipient} ({entry.outcome}, {entry.reply})"
                if any(copy != entry.digest for copy in copies):
                    problems.append(f"{what}: changed")
                if len(copies) > 1 and remote:
                    sums["copies sent again to the remote host"] += len(copies) - 1
                elif len(copies) > 1:
                    problems.append(f"{what}: {len(copies)} copies")
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
        for account, found in mailboxes.items():
            for identity in found:
                if identity not in known:
                    problems.append(f"{account}: a message that nobody sent: {identity}")
        return problems, sums
