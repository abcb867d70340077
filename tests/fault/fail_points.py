#!/usr/bin/python3
"""Stops the all-in-one process at every fail point of the sources, between the commits of a message's way.

usage: fail_points.py [--preset dev] [NAME ...]

For each name it is killed there (at the first and at the third passing) while mail is delivered, restarted, and in the end
the ledger is compared with the mailboxes; then the same with an error instead of a kill. Needs a build with fail points.
"""
import argparse
import pathlib
import re
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]

from instance import ROOT, Instance  # noqa: E402
from ledger import Work, environment_for  # noqa: E402
from processes import Processes  # noqa: E402
from smtp_sink import Sink  # noqa: E402

MAILBOXES = 10


def names_in_sources():
    pattern = re.compile(r'MERPATI_(?:CO_)?FAIL_POINT\("([^"]+)"\)')
    names = set()
    for folder in ("libs", "services"):
        for path in (ROOT / folder).rglob("*.cpp"):
            names.update(pattern.findall(path.read_text(encoding="utf-8")))
    return sorted(names)


def one_round(instance, processes, entries, name, action, seed, sink):
    """Delivers while `name` acts; True when the process stopped there (kills only)."""
    processes.kill("merpati")
    processes.restart("merpati", {"MERPATI_FAIL_POINTS_ACTIVE": f"{name}={action}"})
    processes.wait_ready("merpati")
    work = Work(instance.target, 60, MAILBOXES, 4, seed, sink)
    work.entries = entries
    work.start()
    stopped = False
    give_up = time.monotonic() + 120
    while any(client.is_alive() for client in work.clients):
        if processes.pid("merpati") is None:
            stopped = True
            processes.restart("merpati")  # without the fail point
            processes.wait_ready("merpati")
        if time.monotonic() > give_up:
            raise RuntimeError(f"{name}={action}: the deliveries do not end")
        time.sleep(0.02)
    work.join()
    return stopped


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="dev")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or names_in_sources()
    problems = []
    entries = []
    sink = Sink()
    with Instance(accounts=MAILBOXES, arguments=["--preset", options.preset], environment=environment_for(sink)) as instance:
        processes = Processes(instance.state)
        for name in names:
            reached = [one_round(instance, processes, entries, name, f"kill@{times}", f"{name}-{times}", sink) for times in (1, 3)]
            one_round(instance, processes, entries, name, "error@2", f"{name}-error", sink)
            print(f"{name}: {'stopped there' if any(reached) else 'NOT REACHED'}", flush=True)
            if not any(reached):
                problems.append(f"{name} was never reached: a message's way does not lead there, or the build has no fail points")
        work = Work(instance.target, 0, MAILBOXES, 0, 0, sink)
        work.entries = entries
        problems += work.check()
    for problem in problems[:50]:
        print("PROBLEM " + problem)
    print("every promise was kept" if not problems else f"{len(problems)} problems", flush=True)
    sys.exit(1 if problems else 0)


main()
