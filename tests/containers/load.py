"""Mail without end while containers are disturbed, and the ledger about it."""
import collections
import time

from container_set import say
from ledger import EVERY_WAY, Work

ENDLESS = 10 ** 9
MAILBOXES = 12


class Load:
    """`with Load(...) as load:` sends until the block ends; then `problems` has what was not as promised."""

    def __init__(self, containers, prefix, connections=6, seed=1):
        template = f"{prefix}%d@example.test"
        containers.make_accounts(template, MAILBOXES)
        containers.sink.forget()
        self.work = Work(containers.target_for(template), ENDLESS, MAILBOXES, connections, f"{prefix}-{seed}", containers.sink,
                         EVERY_WAY)
        self.problems = []

    def __enter__(self):
        self.work.start()
        self.progress(20)
        return self

    def __exit__(self, kind, *_):
        self.work.total = self.work.given
        self.work.join()
        if kind is None:
            self.problems += self.work.check()
            for answer, count in collections.Counter(entry.reply for entry in self.work.entries
                                                     if entry.outcome == "refused").most_common(5):
                say(f"refused {count} times: {answer}")

    def count(self, outcome="acknowledged", without=()):
        return sum(entry.outcome == outcome and entry.way not in without for entry in list(self.work.entries))

    def progress(self, messages=20, seconds=90):
        """Until so many more were acknowledged: the platform works."""
        goal, began = self.count() + messages, time.monotonic()
        while self.count() < goal:
            if not any(client.is_alive() for client in self.work.clients):
                raise RuntimeError("every client has ended")
            if time.monotonic() - began > seconds:
                raise RuntimeError(f"{messages} messages were not acknowledged in {seconds} s")
            time.sleep(0.01)
        return time.monotonic() - began


def told(what, seconds):
    say(f"{what}; mail went on after {seconds:.1f} s")
