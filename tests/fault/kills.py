#!/usr/bin/python3
"""kill -9 of every process in turn, at seeded random instants, while mail is being delivered.

usage: kills.py [--services] [--deliveries 2000] [--kills 20] [--connections 8] [--mailboxes 20] [--seed N]

Prints the seed, which repeats the choice of victims and instants (the machine decides the rest).
"""
import argparse
import pathlib
import random
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]

from instance import Instance  # noqa: E402
from ledger import Work, environment_for  # noqa: E402
from processes import Processes  # noqa: E402
from smtp_sink import Sink  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", action="store_true")
    parser.add_argument("--deliveries", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--mailboxes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    sink = Sink()
    with Instance(services=options.services, accounts=options.mailboxes, environment=environment_for(sink)) as instance:
        work = Work(instance.target, options.deliveries, options.mailboxes, options.connections, options.seed,
                    None if instance.adopted else sink)
        work.make_full()
        began = time.monotonic()
        work.start()
        kills = 0
        if not instance.adopted:
            kills = kill_in_turn(Processes(instance.state), work, options, rng)
        work.join()
        print(f"{len(work.entries)} messages in {time.monotonic() - began:.0f} s, {kills} kills", flush=True)
        problems = work.check()
    for problem in problems[:50]:
        print("PROBLEM " + problem)
    if not instance.adopted and kills < options.kills:
        problems.append("too few kills")
        print(f"PROBLEM only {kills} of {options.kills} kills happened before the deliveries were over")
    acknowledged = sum(entry.outcome == "acknowledged" for entry in work.entries)
    if acknowledged < len(work.entries) // 2:
        problems.append("too few acknowledged")
        print(f"PROBLEM only {acknowledged} of {len(work.entries)} were acknowledged: this shows nothing")
    print("every promise was kept" if not problems else f"{len(problems)} problems", flush=True)
    sys.exit(1 if problems else 0)


def kill_in_turn(processes, work, options, rng):
    victims = processes.names()
    # At least two messages lie between two kills, so that each kill meets deliveries.
    instants = sorted(rng.sample(range(20, options.deliveries - 20, 2), options.kills))
    done = 0
    for instant in instants:
        while work.given < instant:
            if not any(client.is_alive() for client in work.clients):
                return done
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.03))
        victim = victims[done % len(victims)]
        processes.kill(victim)
        done += 1
        pause = rng.choice([0, 0.05, 0.5])
        print(f"at {instant}: killed {victim}, back after {pause} s", flush=True)
        time.sleep(pause)
        processes.restart(victim)
        for name in sorted(processes.names(), key=lambda name: name != "postgres"):
            processes.wait_ready(name)
    return done


main()
