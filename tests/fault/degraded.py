#!/usr/bin/python3
"""The table of degraded modes (docs/degraded.md), row by row, under load: each component is killed, stopped (SIGSTOP: its
connections stay open and it says nothing) and black-holed (packets are swallowed), and comes back.

usage: degraded.py [--row NAME]... [--way killed|stopped|black-holed]... [--down SECONDS]

In each row clients of every protocol go on (degraded_clients.py); what the table says works must not fail once, what fails
must get the table's answer, sessions stay connected, no answer may take longer than TOO_LONG, and everything must work again
within TOO_LATE, without help. The promise is 1 s and 10 s; the limits here only tell what hangs, since other work may run on the machine,
and the figures are printed. Beside them a ledger (ledger.py) of other mail: nothing acknowledged is lost or doubled.

Everything runs in a network namespace of the test (tests/support/private_network.py); where there can be none, the rows are
run without black holes, and NOT RUN says so. Rspamd and clamd have no row here yet, because nothing calls them.
"""
import argparse
import collections
import os
import pathlib
import re
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]

from degraded_clients import CALM, Appends, LogsIn, Operates, Pop3LogsIn, Pop3Reads, Sends, Submits, wait_calm  # noqa: E402
from degraded_set import Set  # noqa: E402
from not_run import EXIT_STATUS, required  # noqa: E402
from private_network import enter  # noqa: E402
from processes import PATIENCE  # noqa: E402

# Beyond these it hangs. How long it took is printed; docs/degraded.md has the figures and what is promised.
TOO_LONG = 15.0 * PATIENCE  # seconds for one answer
TOO_LATE = 45.0 * PATIENCE  # seconds until all works again
SETTLED = 1.5 * PATIENCE  # seconds after which the answers must be the table's: what was on its way may still end otherwise
IN_DOUBT = 25.0 * PATIENCE  # seconds, for a commit in flight when PostgreSQL goes
WAYS = ["killed", "stopped", "black-holed"]

MAIL = r"^4\d\d 4\."
IMAP = r"\[UNAVAILABLE\]"
POP3 = r"-ERR \[SYS/TEMP\]"
POP3_LOGIN = r"-ERR \[(SYS/TEMP|IN-USE)\]"  # the lease of a session that ended meanwhile is given back a moment later
CTL = r"."

STORED_READS = {"imap status": IMAP, "imap small": IMAP, "imap large": IMAP, "imap packed": IMAP, "imap metadata": IMAP,
                "imap append": IMAP, "pop3 login": POP3_LOGIN, "pop3 small": POP3, "pop3 large": POP3}
ARRIVALS = {"mx small": MAIL, "mx large": MAIL, "mx unchecked allowed": MAIL}
# What fails, and how; what may do either; the rest works.
ROWS = {
    "object store": ({"mx large": MAIL, "imap large": IMAP, "imap packed": IMAP, "pop3 large": POP3}, []),
    "one store replica": ({}, []),
    "all store replicas": ({**STORED_READS, **ARRIVALS}, []),
    "queue": ({"submission": MAIL}, []),
    "admin": ({"merpatictl": CTL}, []),
    "PostgreSQL": ({**STORED_READS, **ARRIVALS, "mx new recipient": MAIL, "submission": MAIL, "imap login": IMAP,
                    "merpatictl": CTL}, []),
    "filter": ({"mx small": MAIL, "mx large": MAIL, "mx new recipient": MAIL, "submission": MAIL}, []),
    # Recipients that were asked for a moment ago are known for a while; of merpatictl's commands those about people fail.
    "auth": ({"mx new recipient": MAIL, "submission": MAIL, "imap login": IMAP, "pop3 login": POP3, "merpatictl": CTL},
             ["mx small", "mx large", "mx unchecked allowed"]),
    "DNS": ({}, []),
}


class Rows:
    def __init__(self, everything, clients, down):
        self.set, self.clients, self.down, self.problems = everything, clients, down, []
        self.by_name = {client.name: client for client in clients}

    def problem(self, text):
        self.problems.append(text)
        print("PROBLEM " + text, flush=True)

    def run(self, row, way):
        name = f"{row}, {way}"
        restless = wait_calm(self.clients, time.monotonic(), TOO_LATE + CALM)
        if restless:
            self.problem(f"{name}: not calm before: {restless}")
        sessions = {client.name: client.sessions for client in self.clients}
        logs = self.set.log_lines()
        queued = self.set.lookups_begin() if row == "DNS" else None
        broken = time.monotonic()
        self.set.break_down(row, way)
        if row == "DNS":
            self.set.submit_by_lookup(5)
        time.sleep(max(0.0, self.down - (time.monotonic() - broken)))
        lines = self.set.log_lines() - logs
        if row == "DNS" and self.set.lookups_arrived() > queued:
            self.problem(f"{name}: mail left although its host could not be looked up")
        healing = time.monotonic()
        self.set.bring_back(row, way)
        back = time.monotonic()
        restless = wait_calm(self.clients, healing, TOO_LATE + CALM)
        if restless:
            self.problem(f"{name}: {restless} do not work again {TOO_LATE:.0f} s later: " +
                         "; ".join(str(self.by_name[each].attempts[-1]) for each in restless))
        slowest, recovered = self.judge(name, row, broken, healing, back)
        if row == "DNS":
            recovered = max(recovered, self.lookups(name, healing, queued))
        self.compare_sessions(name, row, sessions)
        self.idle_is_told(name, row, back)
        refusal, works = (f"{slowest[verdict][0]:.2f} s ({slowest[verdict][1]})" for verdict in ("refused", "ok"))
        print(f"{name}: slowest refusal {refusal}, slowest of what worked {works}, all works {max(0.0, recovered):.2f} s after it came back "
              f"(which took {back - healing:.2f} s); warnings logged: {self.summary(lines)}", flush=True)

    @staticmethod
    def summary(lines):
        return ", ".join(f"{count} {event}" for event, count in lines.most_common(4)) or "none"

    def judge(self, name, row, broken, healing, back):
        """The longest that somebody waited for a refusal and for what worked, and the last failure after the component was back."""
        fails, either = ROWS[row]
        slowest = {"ok": (0.0, "nobody"), "refused": (0.0, "nobody"), "lost": (0.0, "nobody")}
        recovered, doubtful = 0.0, set()
        for client in self.clients:
            if client.name == "imap idle":
                continue
            attempts = client.since(broken)
            problems = collections.Counter()
            for attempt in attempts:
                if self.was_in_doubt(row, client, attempt, broken):
                    doubtful.add(client.name)
                    continue
                slowest[attempt.verdict] = max(slowest[attempt.verdict], (attempt.took, client.name))
                if attempt.took > TOO_LONG:
                    problems[f"an answer took {attempt.took:.1f} s: {attempt.verdict} {attempt.text}"] += 1
                if attempt.verdict != "ok":
                    recovered = max(recovered, attempt.ended - back)
                wrong = self.wrong(attempt, fails.get(client.name), client.name in either, broken, healing)
                if wrong:
                    problems[wrong] += 1
            if client.name in fails and client.name not in doubtful and not any(attempt.verdict == "refused" for attempt in attempts):
                problems["was never refused, so this shows nothing"] += 1
            for text, count in problems.most_common(3):
                self.problem(f"{name}: {client.name}: {text} ({count} times)")
        if doubtful:
            print(f"{name}: commits in flight waited for their outcome: {', '.join(sorted(doubtful))}", flush=True)
        return slowest, recovered

    @staticmethod
    def was_in_doubt(row, client, attempt, broken):
        """A commit in flight when PostgreSQL went: the store asks for its outcome for IN_DOUBT, since to say no could double the mail."""
        return (row == "PostgreSQL" and isinstance(client, (Sends, Appends)) and attempt.began < broken + SETTLED and
                1.0 < attempt.took < IN_DOUBT and attempt.verdict != "lost")

    @staticmethod
    def wrong(attempt, pattern, either, broken, healing):
        if attempt.verdict == "ok":
            late = pattern and attempt.began > broken + SETTLED and attempt.ended < healing
            return "worked, which the table does not say" if late else None
        if attempt.verdict == "lost":
            return f"no answer: {attempt.text}"
        if pattern is None and not either:
            return f"failed: {attempt.text}"
        return None if re.search(pattern or MAIL, attempt.text) else f"another answer: {attempt.text}"

    def compare_sessions(self, name, row, before):
        for client in self.clients:
            if isinstance(client, (Submits, LogsIn, Pop3LogsIn, Operates)) and not isinstance(client, Pop3Reads):
                continue  # a session each time
            if client.sessions > before[client.name]:
                self.problem(f"{name}: {client.name} lost its session")

    def idle_is_told(self, name, row, back):
        give_up = time.monotonic() + TOO_LATE
        idle = self.by_name["imap idle"]
        while not any(moment > back for moment in idle.told):
            if time.monotonic() > give_up:
                self.problem(f"{name}: the session in IDLE is told of no new mail")
                return
            time.sleep(0.05)

    def lookups(self, name, healing, before):
        """What waited for DNS has to arrive."""
        give_up = time.monotonic() + TOO_LATE
        while self.set.lookups_arrived() < before + 5:
            if time.monotonic() > give_up:
                self.problem(f"{name}: {before + 5 - self.set.lookups_arrived()} of 5 messages still wait for DNS")
                break
            time.sleep(0.05)
        return time.monotonic() - healing


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--row", action="append", choices=list(ROWS))
    parser.add_argument("--way", action="append", choices=WAYS)
    parser.add_argument("--down", type=float, default=6.0)
    options = parser.parse_args()
    if os.environ.get("MERPATI_TARGET_ENV"):
        print("NOT RUN degraded: the parts of an adopted instance cannot be stopped")
        return 1 if required("degraded") else EXIT_STATUS
    hindrance = enter()
    ways = options.way or WAYS
    if hindrance:
        print(f"NOT RUN degraded: nothing is black-holed: {hindrance}", flush=True)
        if required("degraded"):
            return 1
        ways = [way for way in ways if way != "black-holed"]
    with Set(private=not hindrance) as everything:
        problems = scenario(everything, options.row or list(ROWS), ways, options.down)
    for problem in problems[:50]:
        print("PROBLEM " + problem)
    print("the table is true" if not problems else f"{len(problems)} problems", flush=True)
    return 1 if problems else 0


def scenario(everything, names, ways, down):
    with everything.under_load(pause=0.03) as (load, clients):
        rows = Rows(everything, clients, down)
        for row in names:
            for way in ways:
                rows.run(row, way)
    compare(everything, rows, [client for client in clients if isinstance(client, Sends)])
    problems = load.check()
    return rows.problems + problems


def compare(everything, rows, senders):
    """What the rows' own senders were told, with what is there."""
    found = everything.message_ids(people_of(senders))
    for sender in senders:
        for identity, recipient in sender.acknowledged:
            if identity and found[f"<{identity}@degraded.test>"] != 1:
                rows.problem(f"{sender.name}: {identity} for {recipient} is there {found[f'<{identity}@degraded.test>']} times")
            if not identity and not everything.friends.messages.get(recipient):
                rows.problem(f"{sender.name}: {recipient} got nothing")


def people_of(senders):
    return {recipient for sender in senders for identity, recipient in sender.acknowledged if identity}


sys.exit(main())
