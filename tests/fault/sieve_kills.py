#!/usr/bin/python3
"""kill -9 of every service in turn while mail passes scripts that answer it, send it on and drop what came before.

usage: sieve_kills.py [--messages 300] [--kills 14] [--seed N]

Each message has a sender of its own and is tried again until it is acknowledged. Then it is in the mailbox exactly once: a
duplicate test that counted a delivery which never happened would lose it. Its sender has at most one answer, and exactly one when
the first attempt was acknowledged. It was sent on at least once, and twice only by a queue that was killed (RFC 1047).
"""
import argparse
import collections
import email
import imaplib
import pathlib
import queue
import random
import smtplib
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]

from instance import Instance  # noqa: E402
from ledger import environment_for  # noqa: E402
from processes import PATIENCE, Processes  # noqa: E402
from smtp_sink import Sink  # noqa: E402

USERS = 8
SCRIPT = """require ["vacation", "copy", "duplicate"];
if duplicate :header "X-Number" { discard; stop; }
redirect :copy "copies@sink.test";
vacation "Away.";
"""


class Messages:
    """Sends them all, from several threads."""

    def __init__(self, target, users, count):
        self.target, self.users = target, users
        self.left = queue.SimpleQueue()
        for number in range(count):
            self.left.put(number)
        self.first_attempt, self.acknowledged = {}, {}
        self.given = 0
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(4)]

    def work(self):
        while True:
            try:
                number = self.left.get_nowait()
            except queue.Empty:
                return
            self.given += 1
            for _ in range(60):
                done = self.send(number)
                self.first_attempt.setdefault(number, done)
                if done:
                    self.acknowledged[number] = True
                    break
                time.sleep(0.2)

    def send(self, number):
        user = self.users[number % len(self.users)]
        try:
            with smtplib.SMTP("127.0.0.1", self.target.port("SMTP"), timeout=60) as client:
                client.ehlo("sink.test")
                if client.mail(f"s{number}@sink.test")[0] != 250 or client.rcpt(user)[0] != 250:
                    return False
                return client.data((f"From: s{number}@sink.test\r\nTo: {user}\r\nSubject: {number}\r\nX-Number: {number}\r\n"
                                    f"Message-ID: <{number}@sink.test>\r\n\r\nhello\r\n").encode())[0] == 250
        except (OSError, smtplib.SMTPException):
            return False


def in_mailboxes(target, users):
    counts = collections.Counter()
    for user in users:
        client = imaplib.IMAP4("127.0.0.1", target.port("IMAP"))
        client.login(user, target.password)
        client.select("INBOX", readonly=True)
        for row in client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(row, tuple):
                counts[int(email.message_from_bytes(row[1])["Subject"])] += 1
        client.logout()
    return counts


def check(messages, counts, sink, queue_kills):
    problems = []
    with sink.lock:
        copies = collections.Counter(int(email.message_from_bytes(each)["Subject"]) for each in sink.messages["copies@sink.test"])
        answers = {number: len(sink.messages[f"s{number}@sink.test"]) for number in messages.first_attempt}
    for number, first in messages.first_attempt.items():
        if number not in messages.acknowledged:
            problems.append(f"{number} was never acknowledged")
        elif counts[number] != 1:
            problems.append(f"{number} is {counts[number]} times in the mailbox")
        if copies[number] < 1:
            problems.append(f"{number} was not sent on")
        if first and answers[number] < 1:
            problems.append(f"{number} was acknowledged at once and not answered")
    doubled = sum(count - 1 for count in [*copies.values(), *answers.values()] if count > 1)
    # What a worker of the queue had in hand when it was killed.
    if doubled > 20 * queue_kills:
        problems.append(f"{doubled} messages left twice, with {queue_kills} kills of the queue")
    print(f"{len(messages.acknowledged)} acknowledged, {sum(messages.first_attempt.values())} of them at once, {doubled} left twice",
          flush=True)
    return problems


def settled(messages, sink):
    """Waits until nothing more comes."""
    before, quiet = -1, 0
    for _ in range(240 * PATIENCE):
        with sink.lock:
            now = sum(len(each) for each in sink.messages.values())
        quiet = quiet + 1 if now == before else 0
        before = now
        # Held mail is asked about after 5 s here, and failed attempts are repeated after 1 s.
        if quiet >= 30 and now >= len(messages.acknowledged):
            return
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--kills", type=int, default=14)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    sink = Sink()
    with Instance(services=True, accounts=USERS, environment=environment_for(sink)) as instance:
        if instance.adopted:
            print("NOT RUN an adopted instance is not killed")
            return 0
        users = [instance.target.account() for _ in range(USERS)]
        env = instance.target.env
        for user in users:
            subprocess.run([env["CTL_PROGRAM"], "--config", env["CTL_CONTEXT"], "sieve", "put", user, "-", "--name", "mine",
                            "--activate"], input=SCRIPT, text=True, check=True, capture_output=True)
        processes = Processes(instance.state)
        messages = Messages(instance.target, users, options.messages)
        victims = ["smtp", "filter", "queue", "store", "auth", "filter", "postgres"]
        queue_kills = 0
        for thread in messages.threads:
            thread.start()
        for kill in range(options.kills):
            while messages.given < (kill + 1) * options.messages // (options.kills + 2):
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.05))
            victim = victims[kill % len(victims)]
            queue_kills += victim == "queue"
            processes.kill(victim)
            print(f"at {messages.given}: killed {victim}", flush=True)
            time.sleep(rng.choice([0, 0.3]))
            processes.restart(victim)
            for name in sorted(processes.names(), key=lambda name: name != "postgres"):
                processes.wait_ready(name)
        for thread in messages.threads:
            thread.join()
        settled(messages, sink)
        problems = check(messages, in_mailboxes(instance.target, users), sink, queue_kills)
    for problem in problems[:50]:
        print("PROBLEM " + problem)
    print("every promise was kept" if not problems else f"{len(problems)} problems", flush=True)
    return 1 if problems else 0


sys.exit(main())
