"""What test degraded runs: an instance of ./dev with every service, a second store, Swift as the object store, a DNS server, a
remote host, and the means to take each away."""
import collections
import contextlib
import imaplib
import os
import pathlib
import random
import re
import signal
import smtplib
import ssl
import subprocess
import sys
import time

from degraded_clients import (AsksForNew, Appends, Asks, Idles, LogsIn, Operates, Pop3LogsIn, Pop3Reads, Sends, Submits,
                              lines_of)
from dns_server import DnsServer
from instance import Instance, free_block, free_offset, free_ports
from ledger import SINK_DOMAIN, Work, environment_for
from private_network import Network
from processes import Processes, children_of
from smtp_sink import Sink

SUPPORT = pathlib.Path(__file__).resolve().parents[1] / "support"
LOOKED_UP = "dns.test"  # a domain whose host is found by DNS
FRIENDS = "friends.test"  # one with a fixed route
POSTGRES_PORT = 5432
LARGE = 300_000  # octets of a message that is kept in the object store
# Mail of a ledger beside the rows: mostly small, as mail is.
MIX = [("mx", False), ("append", False), ("mx", False), ("submission", False), ("mx", False), ("mixed", False), ("mx", True),
       ("mx", False), ("append", False), ("bounced", False), ("mx", False), ("mx", False)]
MAILBOXES = 8
WARNING = re.compile(rb'^.*"level":"(?:warning|error)".*?"event":"(\w+)"', re.MULTILINE)


class Swift:
    """An S3 endpoint."""

    def __init__(self, folder, port):
        self.port = port
        folder.mkdir(parents=True)
        self.process = subprocess.Popen([sys.executable, str(SUPPORT / "swift.py"), str(folder), str(port)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().removeprefix("READY").strip()
        if not self.url:
            raise RuntimeError("Swift did not start; its reason is above")

    def tell(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != "OK":
            raise RuntimeError(f"Swift could not be told: {what}")

    def close(self):
        self.process.terminate()
        self.process.wait()


class Set:
    """`private`: it runs in a network namespace of the test. `unchecked`: with a listener that does without the filter."""

    def __init__(self, private, unchecked=True, arguments=()):
        self.network = Network() if private else None
        self.unchecked, self.arguments = unchecked, list(arguments)
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self.start()
            return self
        except BaseException:
            self.stack.close()
            raise

    def __exit__(self, *_):
        if self.network:
            self.network.heal()
        self.stack.close()

    def start(self):
        ports = free_ports(12)
        self.sink, self.friends = Sink(), Sink()  # the ledger's, and the clients'
        self.stack.callback(self.sink.close)
        self.stack.callback(self.friends.close)
        self.dns = DnsServer(ports[0])
        # More accounts than the ledger's, for clients() and submit_by_lookup().
        self.instance = Instance(services=True, accounts=MAILBOXES + 7, arguments=self.arguments)
        self.instance.offset = free_offset()
        self.swift = Swift(self.instance.state / "swift", free_block(5))
        self.stack.callback(self.swift.close)
        self.store_ports = [50057 + self.instance.offset, ports[2]]
        self.unchecked_port = ports[3]
        self.instance.environment.update(self.environment())
        self.stack.enter_context(self.instance)
        self.target = self.instance.target
        self.processes = Processes(self.instance.state)
        self.add_second_store(ports[4])
        if self.unchecked:
            self.add_unchecked_listener()

    def environment(self):
        s3 = {"ENDPOINT": self.swift.url, "BUCKET": "mail", "ACCESS_KEY_ID": "test:tester", "SECRET_ACCESS_KEY": "testing"}
        return {
            **environment_for(self.sink),
            "MERPATI_QUEUE__ROUTES": f'["{SINK_DOMAIN}=127.0.0.1:{self.sink.port}", "{FRIENDS}=127.0.0.1:{self.friends.port}"]',
            **{f"MERPATI_STORE__OBJECTS__S3__{name}": value for name, value in s3.items()},
            "MERPATI_STORE__OBJECTS__DIRECTORY": "",
            "MERPATI_STORE__CACHE_SIZE": "1KiB",  # so that what is read comes from where it is
            "MERPATI_STORE__PACK_AFTER": "1s",
            "MERPATI_PEERS__STORE__TARGET": ",".join(f"127.0.0.1:{port}" for port in self.store_ports),
            "MERPATI_QUEUE__DNS_SERVERS": f'["127.0.0.1@{self.dns.port}"]',
            "MERPATI_QUEUE__MX_PORT": str(self.friends.port),
            **({"MERPATI_POSTGRES_ADDRESS": "127.0.0.1"} if self.network else {}),
        }

    def add_second_store(self, http_port):
        """A copy of the first one, with ports of its own."""
        folder = self.instance.state
        text = (folder / "services" / "store.yaml").read_text()
        for before, after in ((f"port: {self.processes.http_port('store')}}}", f"port: {http_port}}}"),
                              (f'"127.0.0.1", port: {self.store_ports[0]}}}', f'"127.0.0.1", port: {self.store_ports[1]}}}')):
            if before not in text:
                raise RuntimeError(f"store.yaml has no {before!r}")
            text = text.replace(before, after)
        config = folder / "services" / "store-second.yaml"
        config.write_text(text)
        command, owner = self.processes.commands["store"]
        self.processes.commands["store-second"] = ([*command[:command.index("--config") + 1], str(config)], owner)
        self.processes.environments["store-second"] = self.processes.environments["store"]
        self.processes.restart("store-second")
        self.stack.callback(lambda: self.processes.kill("store-second"))
        self.processes.wait_ready("store-second")

    def add_unchecked_listener(self):
        """Where mail is accepted unchecked while the filter is away."""
        config = self.instance.state / "services" / "smtp.yaml"
        lines = config.read_text().splitlines()
        place = next(number for number, line in enumerate(lines) if "kind: MX" in line)
        more = re.sub(r"port: \d+", f"port: {self.unchecked_port}", lines[place]).replace("kind: MX", "kind: MX, filter_down: ACCEPT")
        config.write_text("\n".join([*lines[:place], more, *lines[place:]]) + "\n")
        self.again("smtp")

    def again(self, name, environment=None):
        self.processes.kill(name, signal.SIGTERM)
        self.processes.restart(name, environment)
        self.processes.wait_ready(name)

    @contextlib.contextmanager
    def under_load(self, pause):
        """The ledger's mail, with a pause after each message, and the clients of every protocol; both end with the block."""
        load = Work(self.target, 10**9, MAILBOXES, 3, 1, self.sink, MIX)
        load.pause = pause
        clients = self.clients()
        load.start()
        for client in clients:
            client.start()
        try:
            yield load, clients
        finally:
            for client in clients:
                client.ending = True
            load.total = 0
            load.join()
            for client in clients:
                if client.name != "imap idle":
                    client.join()

    # --- what the clients read

    def clients(self):
        """Everything that people do, over and over; "imap idle" apart."""
        target = self.target
        reads, packed, pop_small, pop_large, pop_login, arrivals = self.fill()

        def fetch(what):
            return lambda client: client.fetch("1", what)

        def has(size):
            return lambda data: isinstance(data[0], tuple) and len(data[0][1]) >= size

        def status(client):
            return client.status("INBOX", "(MESSAGES)")

        def named(data):
            return b"ENVELOPE" in data[0]

        return [
            Sends("mx small", target, arrivals),
            Sends("mx large", target, arrivals, size=LARGE),
            AsksForNew("mx new recipient", target, arrivals),
            *([Sends("mx unchecked allowed", target, arrivals, port=self.unchecked_port)] if self.unchecked else []),
            Submits("submission", target, reads, FRIENDS),
            LogsIn("imap login", target, reads),
            Asks("imap status", target, reads, "Small", status, bool),
            Asks("imap small", target, reads, "Small", fetch("(BODY.PEEK[])"), has(20)),
            Asks("imap large", target, reads, "Large", fetch("(BODY.PEEK[])"), has(LARGE)),
            Asks("imap packed", target, packed, "Packed", fetch("(BODY.PEEK[])"), has(20)),
            Asks("imap metadata", target, reads, "Large", fetch("(ENVELOPE RFC822.SIZE FLAGS)"), named),
            Appends("imap append", target, reads),
            Pop3LogsIn("pop3 login", target, pop_login),
            Pop3Reads("pop3 small", target, pop_small, 1, 20),
            Pop3Reads("pop3 large", target, pop_large, 1, LARGE),
            Operates("merpatictl", target),
            Idles("imap idle", target, arrivals),
        ]

    def fill(self):
        """The accounts of the clients, with mail in them."""
        people = [self.target.template % (MAILBOXES + number) for number in range(1, 7)]
        reads, packed, pop_small, pop_large, _, _ = people
        small = b"Subject: small\r\n\r\nhello\r\n"
        big = "\r\n".join(["Subject: large", "", *lines_of(random.Random(1), LARGE + 1000), ""]).encode()
        self.append(packed, "Packed", small)
        give_up = time.monotonic() + 60
        while self.metric("merpati_store_packed_bodies_total") == 0:
            if time.monotonic() > give_up:
                raise RuntimeError("the store packs nothing")
            time.sleep(0.2)
        for name in ("store", "store-second"):  # what comes from now on stays where it is
            self.again(name, {"MERPATI_STORE__PACK_AFTER": "720h"})
        self.append(reads, "Small", small)
        self.append(reads, "Large", big)
        self.append(reads, "Appended", small)
        self.append(pop_small, "INBOX", small)
        self.append(pop_large, "INBOX", big)
        return people

    def login(self, user):
        client = imaplib.IMAP4(self.target.host, self.target.port("IMAP"), timeout=60)
        client.login(user, self.target.password)
        return client

    def append(self, user, folder, message):
        client = self.login(user)
        client.create(folder)
        status, answer = client.append(folder, None, None, message)
        if status != "OK":
            raise RuntimeError(f"APPEND to {folder}: {answer}")
        client.logout()

    def message_ids(self, users):
        found = collections.Counter()
        for user in users:
            client = self.login(user)
            client.select("INBOX", readonly=True)
            for item in client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1]:
                if isinstance(item, tuple):
                    found[item[1].decode().split(":", 1)[1].strip()] += 1
            client.logout()
        return found

    def metric(self, name):
        """Of both stores together."""
        total = 0.0
        for process in ("store", "store-second"):
            text = subprocess.run(["curl", "-sf", f"http://127.0.0.1:{self.processes.http_port(process)}/metrics"], check=False,
                                  capture_output=True, text=True).stdout
            total += sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))
        return total

    def log_lines(self):
        """Warnings and errors of all services so far, by service and event."""
        lines = collections.Counter()
        for path in (self.instance.state / "logs").glob("*.log"):
            lines.update(f"{path.stem} {event.decode()}" for event in WARNING.findall(path.read_bytes()))
        return lines

    # --- mail to a host that is found by DNS

    def submit_by_lookup(self, count):
        user = self.target.template % (MAILBOXES + 7)
        client = smtplib.SMTP(*self.target.address("SUBMISSION"), timeout=60)
        client.starttls(context=ssl.create_default_context(cafile=self.target.ca_file))
        client.login(user, self.target.password)
        for number in range(count):
            client.sendmail(user, [f"{time.monotonic_ns()}@{LOOKED_UP}"], f"From: {user}\r\nSubject: {number}\r\n\r\nhello\r\n")
        client.quit()

    def lookups_arrived(self):
        with self.friends.lock:
            return sum(len(messages) for recipient, messages in self.friends.messages.items() if recipient.endswith("@" + LOOKED_UP))

    def lookups_begin(self):
        """One that goes through, so that the row begins with a DNS that works; how many have arrived."""
        before = self.lookups_arrived()
        self.submit_by_lookup(1)
        give_up = time.monotonic() + 30
        while self.lookups_arrived() == before:
            if time.monotonic() > give_up:
                raise RuntimeError("no mail leaves for a host that is found by DNS")
            time.sleep(0.05)
        # Nothing is answered from memory: the zone's time to live is a second.
        time.sleep(1.5)
        return self.lookups_arrived()

    # --- faults

    def parts(self, row):
        """Processes and ports of a row."""
        stores = {"one store replica": 1, "all store replicas": 2}.get(row)
        if stores:
            return ["store", "store-second"][:stores], self.store_ports[:stores]
        if row == "PostgreSQL":
            return ["postgres"], [POSTGRES_PORT]
        if row == "object store":
            return [], [self.swift.port]
        if row == "DNS":
            return [], [self.dns.port]
        numbers = {"auth": 5, "filter": 7, "queue": 8, "admin": 0}
        return [row], [50051 + numbers[row] + self.instance.offset]

    def break_down(self, row, way):
        names, ports = self.parts(row)
        if way == "black-holed":
            self.network.swallow(*ports)
        elif row == "object store":
            self.swift.tell({"killed": "down", "stopped": "pause"}[way])
        elif row == "DNS":
            if way == "killed":
                self.dns.stop()
            self.dns.silent = way == "stopped"
        elif way == "killed":
            for name in names:
                self.processes.kill(name)
        else:
            self.signal(names, signal.SIGSTOP)

    def bring_back(self, row, way):
        """Returns when it is there again, as far as it can be asked."""
        names, _ = self.parts(row)
        if way == "black-holed":
            self.network.heal()
        elif row == "object store":
            self.swift.tell({"killed": "up", "stopped": "resume"}[way])
        elif row == "DNS":
            self.dns.silent = False
            if way == "killed":
                self.dns.start()
        elif way == "killed":
            for name in names:
                self.processes.restart(name)
            for name in names:
                self.processes.wait_ready(name)
        else:
            self.signal(names, signal.SIGCONT)

    def signal(self, names, number):
        for name in names:
            pid = self.processes.pid(name)
            for each in [pid, *(children_of(pid) if name == "postgres" else [])]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, number)
