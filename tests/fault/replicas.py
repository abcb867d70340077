#!/usr/bin/python3
"""Two replicas of store behind edges that know both: one is drained, then each is killed, while mail arrives and is read.

Nobody may notice: no message is refused, no IMAP command fails, and every acknowledged message is there exactly once.
The instance of ./dev has one store; this adds a second one and an smtp and an imap of its own (on ports of their own).
"""
import collections
import imaplib
import pathlib
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
import urllib.request

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from instance import Instance, free_ports  # noqa: E402
from processes import Processes  # noqa: E402

SENDERS = 4
# Each account prefers one of the two replicas, by a hash of their ports, which differ from run to run: with few accounts
# all prefer the same one now and then (nine: once in 256 runs), and the other has nothing to do.
RECIPIENTS = 24
PER_SESSION = 50  # smtp ends a session after 100 messages
PATIENCE = 60  # seconds for each step


class Extra:
    """A process beside those of ./dev, with a configuration made out of store's."""

    def __init__(self, instance, processes, service, name, changes):
        self.service, self.name = service, name
        self.command, self.owner = processes.commands["store"]
        self.environment = processes.environments["store"]
        self.state = instance.state
        text = (instance.state / "services" / "store.yaml").read_text()
        for before, after in changes:
            if before not in text:
                raise RuntimeError(f"store.yaml has no {before!r}")
            text = text.replace(before, after)
        self.config = instance.state / "services" / f"{name}.yaml"
        self.config.write_text(text)
        self.process = None

    def start(self):
        with open(self.state / "logs" / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen([self.command[0], self.service, "--config", str(self.config)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            env=self.environment)
        return self

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


def wait_open(port):
    give_up = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)


class Sender(threading.Thread):
    def __init__(self, number, port, recipients):
        super().__init__(daemon=True)
        self.number, self.port, self.recipients = number, port, recipients
        self.acknowledged, self.problems, self.ending = collections.Counter(), [], False

    def run(self):
        count = 0
        while not self.ending:
            try:
                with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
                    for _ in range(PER_SESSION):
                        if self.ending:
                            break
                        count += 1
                        recipient = self.recipients[count % len(self.recipients)]
                        client.sendmail("sender@remote.test", [recipient], self.message(count))
                        self.acknowledged[recipient] += 1
            except (smtplib.SMTPException, OSError) as error:
                self.problems.append(f"sender {self.number}: {error!r}")
                time.sleep(0.1)

    def message(self, count):
        return (f"From: sender@remote.test\r\nMessage-ID: <{self.number}.{count}@replicas.test>\r\n"
                f"Date: Mon, 02 Nov 2026 10:11:12 +0100\r\nSubject: {self.number}-{count}\r\n\r\nhello\r\n")


class Reader(threading.Thread):
    """One IMAP session that goes on through everything."""

    def __init__(self, port, user, password):
        super().__init__(daemon=True)
        self.client = imaplib.IMAP4("127.0.0.1", port)
        self.client.login(user, password)
        self.client.append("Archive", None, None, b"Subject: kept\r\n\r\nkept\r\n")
        self.client.select("Archive")
        self.commands, self.problems, self.ending = 0, [], False

    def run(self):
        while not self.ending:
            for name, call in (("NOOP", self.client.noop), ("FETCH", lambda: self.client.fetch("1", "(FLAGS BODY.PEEK[])")),
                               ("STATUS", lambda: self.client.status("INBOX", "(MESSAGES)"))):
                try:
                    answer = call()
                    if answer[0] != "OK":
                        self.problems.append(f"{name}: {answer}")
                except imaplib.IMAP4.error as error:
                    self.problems.append(f"{name}: {error!r}")
                    return
                self.commands += 1
            time.sleep(0.005)


def count_messages(port, user, password):
    client = imaplib.IMAP4("127.0.0.1", port)
    client.login(user, password)
    client.select("INBOX", readonly=True)
    found = collections.Counter()
    for item in client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1]:
        if isinstance(item, tuple):
            found[item[1].strip()] += 1
    client.logout()
    return found


def extra_services(instance, processes):
    target = instance.target
    grpc = {name: 50052 + index + instance.offset for index, name in enumerate(["smtp", "pop3", "imap", "sieve", "auth", "store"])}
    own = grpc["store"]
    http = processes.http_port("store")
    ports = free_ports(12)
    both = f'127.0.0.1:{own},127.0.0.1:{ports[0]}'
    peers = (f'store: {{target: "127.0.0.1:{own}"}}', f'store: {{target: "{both}"}}')
    second = Extra(instance, processes, "store", "store-second",
                   [(f"port: {http}}}", f"port: {ports[1]}}}"), (f'"127.0.0.1", port: {own}}}', f'"127.0.0.1", port: {ports[0]}}}')])
    edges = []
    for service, first, listeners in (("smtp", 2, ["SMTP", "SUBMISSION", "SUBMISSIONS"]), ("imap", 7, ["IMAP", "IMAPS"])):
        changes = [peers, (f"port: {http}}}", f"port: {ports[first]}}}"),
                   (f'"127.0.0.1", port: {grpc[service]}}}', f'"127.0.0.1", port: {ports[first + 1]}}}'),
                   ("tls/store.pem", f"tls/{service}.pem"), ("tls/store.key", f"tls/{service}.key")]
        for index, listener in enumerate(listeners):
            changes.append((f"port: {target.port(listener)},", f"port: {ports[first + 2 + index]},"))
        edges.append(Extra(instance, processes, service, f"{service}-second", changes))
    return second, edges, ports[4], ports[9], {"first": http, "second": ports[1]}


def calls_served(http_port):
    """Calls that this replica has answered, from its metrics."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        text = opener.open(f"http://127.0.0.1:{http_port}/metrics", timeout=5).read().decode()
    except OSError:
        return 0  # it is not up yet
    lines = [line for line in text.splitlines() if line.startswith("merpati_rpc_calls_total{") and 'code="OK"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def main():
    with Instance(services=True, accounts=RECIPIENTS + 1, arguments=sys.argv[1:]) as instance:
        if instance.adopted:
            print("NOT RUN replicas: an adopted instance cannot be given a second store")
            return 77  # ctest: skipped
        processes = Processes(instance.state)
        second, edges, smtp_port, imap_port, http_ports = extra_services(instance, processes)
        running = [second.start()] + [edge.start() for edge in edges]
        try:
            wait_open(smtp_port)
            wait_open(imap_port)
            return scenario(instance, processes, second, smtp_port, imap_port, http_ports)
        finally:
            for each in running:
                if each.process.poll() is None:
                    each.stop()


def scenario(instance, processes, second, smtp_port, imap_port, http_ports):
    target = instance.target
    recipients = [target.account() for _ in range(RECIPIENTS)]
    reader = Reader(imap_port, target.account(), target.password)
    senders = [Sender(number, smtp_port, recipients) for number in range(SENDERS)]
    for thread in [reader, *senders]:
        thread.start()

    problems = []

    def so_far():
        return sum(sum(sender.acknowledged.values()) for sender in senders), reader.commands

    def step(name, done):
        """Until mail and commands went on for a while and `done`, which a loaded machine takes longer for."""
        began, before = time.monotonic(), so_far()
        while True:
            time.sleep(0.2)
            after, took = so_far(), time.monotonic() - began
            steps = [now - then for now, then in zip(after, before)]
            if took > 3 and min(steps) > 20 and done():
                break
            if took > PATIENCE or any(thread.problems for thread in [reader, *senders]):
                served = {replica: int(calls_served(port)) for replica, port in http_ports.items()}
                problems.append(f"{name}: this did not come to its end; calls served: {served}")
                break
        print(f"{name}: {steps[0]} messages, {steps[1]} IMAP commands in {took:.1f} s", flush=True)

    def both_serve():
        return all(calls_served(port) >= 10 for port in http_ports.values())

    def always():
        return True

    step("both replicas", both_serve)
    if second.stop() != 0:
        problems.append("the drained replica did not end well")
    step("the second drained", always)
    second.start()
    step("the second back", both_serve)
    second.stop(signal.SIGKILL)
    step("the second killed", always)
    second.start()
    step("the second back", both_serve)
    processes.kill("store")
    step("the first killed", always)
    processes.restart("store")
    step("the first back", both_serve)
    for thread in [reader, *senders]:
        thread.ending = True
    for thread in [reader, *senders]:
        thread.join()

    for thread in [reader, *senders]:
        problems += thread.problems
    for recipient in recipients:
        told = sum(sender.acknowledged[recipient] for sender in senders)
        found = count_messages(imap_port, recipient, target.password)
        doubled = sum(count > 1 for count in found.values())
        if len(found) != told or doubled:
            problems.append(f"{recipient}: {told} acknowledged, {len(found)} found, {doubled} of them doubled")
    for problem in problems[:50]:
        print("PROBLEM " + problem)
    print("nobody noticed" if not problems else f"{len(problems)} problems", flush=True)
    return 1 if problems else 0


sys.exit(main())
