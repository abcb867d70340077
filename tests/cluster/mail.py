"""Mail from outside: single messages, and a load that is compared with a ledger."""
import imaplib
import poplib
import smtplib
import socket
import ssl
import time

from ledger import Work


def anybody():
    """TLS without a look at the name: load balancers have addresses only."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def patiently(action, wait=60):
    """Repeats while a load balancer or an edge is not there yet."""
    give_up = time.monotonic() + wait
    while True:
        try:
            return action()
        except (OSError, smtplib.SMTPException, imaplib.IMAP4.abort):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)


def send(target, recipient, mark, sender="anna@sender.test"):
    def once():
        with smtplib.SMTP(*target.address("SMTP"), timeout=30) as client:
            client.sendmail(sender, [recipient], f"From: {sender}\r\nTo: {recipient}\r\nSubject: {mark}\r\n"
                            f"Date: Mon, 02 Nov 2026 10:11:12 +0100\r\nMessage-ID: <{mark}@cluster.test>\r\n\r\n{mark}\r\n")
    patiently(once)


def imap(target, user):
    def once():
        client = imaplib.IMAP4_SSL(*target.address("IMAPS"), ssl_context=anybody(), timeout=60)
        client.login(user, target.password)
        return client
    return patiently(once)


def inbox(target, user):
    """Every message of the inbox, by IMAP."""
    client = imap(target, user)
    try:
        count = int(client.select("INBOX", readonly=True)[1][0])
        return [client.fetch(str(number), "(BODY.PEEK[])")[1][0][1] for number in range(1, count + 1)]
    finally:
        client.logout()


def maildrop(target, user):
    """The same by POP3."""
    client = patiently(lambda: poplib.POP3_SSL(*target.address("POP3S"), context=anybody(), timeout=60))
    client.user(user)
    client.pass_(target.password)
    count = client.stat()[0]
    messages = [b"\r\n".join(client.retr(number)[1]) for number in range(1, count + 1)]
    client.quit()
    return messages


def send_through_proxy(address, source, recipient, mark):
    """One message behind a PROXY v2 header that names `source` (the specification, 2.2)."""
    with socket.create_connection((address, 25), timeout=30) as connection:
        header = b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + (12).to_bytes(2, "big")
        header += socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + (4321).to_bytes(2, "big") + (25).to_bytes(2, "big")
        connection.sendall(header)
        stream = connection.makefile("rwb")

        def expect(code):
            while True:
                line = stream.readline()
                if not line.startswith(code):
                    raise smtplib.SMTPException(f"{line!r} instead of {code!r}")
                if line[3:4] != b"-":
                    return
        expect(b"220")
        for line, code in ((b"EHLO sender.test", b"250"), (b"MAIL FROM:<anna@sender.test>", b"250"),
                           (b"RCPT TO:<%s>" % recipient.encode(), b"250"), (b"DATA", b"354"),
                           (b"From: anna@sender.test\r\nSubject: %s\r\n\r\nx\r\n." % mark.encode(), b"250"), (b"QUIT", b"221")):
            stream.write(line + b"\r\n")
            stream.flush()
            expect(code)


class Load(Work):
    """The ledger's clients, until told to stop: `with Load(target) as load:`, then load.check()."""

    def __init__(self, target, mailboxes=10, connections=4, seed=1, mix=None):
        super().__init__(target, 10**9, mailboxes, connections, seed, mix=mix or
                         [("mx", False), ("append", False), ("mx", False), ("mx", True), ("mx", False)])

    def tls(self):
        return anybody()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        with self.lock:
            self.total = 0
        if kind is None:
            self.join()

    def acknowledged(self):
        return sum(entry.outcome == "acknowledged" for entry in self.entries)

    def wait_for_more(self, count, wait=120):
        """Until that many more were acknowledged."""
        wanted, give_up = self.acknowledged() + count, time.monotonic() + wait
        while self.acknowledged() < wanted:
            if time.monotonic() > give_up:
                raise AssertionError(f"mail stopped: {self.acknowledged()} acknowledged, {wanted} wanted")
            time.sleep(0.1)
