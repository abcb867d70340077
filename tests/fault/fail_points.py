#!/usr/bin/python3
"""Stops the all-in-one process at every fail point of the sources, between the commits of a message's way.

usage: fail_points.py [--preset dev] [NAME ...]

For each name mail is delivered while the process is killed there (at the first passing; after its restart at the third), and
then meets an error there instead. In the end the ledger is compared with the mailboxes. Needs a build with fail points.
"""
import argparse
import os
import pathlib
import re
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]

from instance import ROOT, Instance  # noqa: E402
from ledger import EVERY_WAY, Work, environment_for  # noqa: E402
from processes import PATIENCE, Processes  # noqa: E402
from smtp_sink import Sink  # noqa: E402

MAILBOXES = 10
# Where a message's way only leads when something else fails first.
BESIDE = {
    "queue_held_resolved": "smtp_after_enqueue=error",
    "queue_before_drop": "store_before_commit=error",
    "queue_after_drop": "store_before_commit=error",
    "store_after_resolve": "store_before_commit=error",
}
ACTIONS = ["kill@1", "kill@3", "error@2"]
AT_LEAST = 32  # messages for each action
AT_MOST = 15 * PATIENCE  # seconds to wait for what happens behind the last reply


def names_in_sources():
    pattern = re.compile(r'MERPATI_(?:CO_)?FAIL_POINT\("([^"]+)"\)')
    names = set()
    for folder in ("libs", "services"):
        for path in (ROOT / folder).rglob("*.cpp"):
            names.update(pattern.findall(path.read_text(encoding="utf-8")))
    # The packer's points are on no message's way: it works on bodies that are long stored. integration_store stops a process there.
    return sorted(name for name in names if not name.startswith("pack_"))


def one_name(instance, processes, entries, name, sink):
    """Delivers while `name` acts; the actions that it was not reached for."""
    def restart(action):
        processes.kill("merpati")
        active = f"{name}={action}" + (f",{BESIDE[name]}" if name in BESIDE else "")
        processes.restart("merpati", {"MERPATI_FAIL_POINTS_ACTIVE": active})
        while not processes.ready("merpati") and processes.pid("merpati"):  # it may stop there before it is ready
            time.sleep(0.02)

    missed, works = [], []
    for action in ACTIONS:
        restart(action)
        works.append(Work(instance.target, AT_LEAST, MAILBOXES, 4, f"{name}-{action}", sink, EVERY_WAY))
        works[-1].entries, works[-1].has_full = entries, True
        works[-1].start()
        if action.startswith("kill") and not wait_stopped(processes, works):
            missed.append(action)
    for work in works:
        work.join()
    return missed


def wait_stopped(processes, works):
    """Whether the process stopped, while mail was delivered or soon after the last reply (the queue goes on then)."""
    give_up = time.monotonic() + AT_MOST
    while processes.pid("merpati") is not None:
        if any(client.is_alive() for work in works for client in work.clients):
            give_up = time.monotonic() + AT_MOST
        elif time.monotonic() > give_up:
            return False
        time.sleep(0.02)
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default=os.environ.get("MERPATI_PRESET", "dev"))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or names_in_sources()
    problems = []
    entries = []
    sink = Sink()
    with Instance(accounts=MAILBOXES, arguments=["--preset", options.preset], environment=environment_for(sink)) as instance:
        processes = Processes(instance.state)
        first = Work(instance.target, 0, MAILBOXES, 0, 0)
        first.make_full()
        for name in names:
            began = time.monotonic()
            missed = one_name(instance, processes, entries, name, sink)
            print(f"{name}: {'NOT REACHED for ' + ', '.join(missed) if missed else 'stopped there'}"
                  f" ({time.monotonic() - began:.0f} s)", flush=True)
            if missed:
                problems.append(f"{name} was not reached: a message's way does not lead there, or the build has no fail points")
        processes.kill("merpati")
        processes.restart("merpati")
        processes.wait_ready("merpati")
        work = Work(instance.target, 0, MAILBOXES, 0, 0, sink)
        work.entries = entries
        problems += work.check()
    for problem in problems[:50]:
        print("PROBLEM " + problem)
    print("every promise was kept" if not problems else f"{len(problems)} problems", flush=True)
    sys.exit(1 if problems else 0)


main()
