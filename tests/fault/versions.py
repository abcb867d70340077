#!/usr/bin/python3
"""Releases N and N-1 side by side, as in a rolling upgrade: each service alone on N-1 among N, then alone on N among N-1.

usage: versions.py [--service NAME]...

N is this checkout's build; N-1 is the folder MERPATI_PREVIOUS (with bin/merpati), or is built from the commit in previous.txt
into ~/.cache/merpati/previous, which takes a while: by default that is not done and NOT RUN says so; `./dev test versions`
(MERPATI_REQUIRE=versions) does it. The schema is N's throughout: it is migrated before the first pod of a release starts.

Each release reads a configuration of its own, as its chart would write it: what N-1 does not know is left out of N-1's.

In every mixture all that people do must work (degraded_set.py's clients), and beside it a ledger of other mail goes on
(ledger.py): nothing acknowledged is lost or doubled.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import yaml

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]

from degraded_clients import CALM, wait_calm  # noqa: E402
from degraded_set import Set  # noqa: E402
from instance import ROOT  # noqa: E402
from not_run import EXIT_STATUS, required  # noqa: E402
from processes import PATIENCE  # noqa: E402

# As an upgrade goes: who is called before who calls.
# Those that N-1 has, too: sieve is younger.
SERVICES = ["auth", "store", "filter", "queue", "admin", "smtp", "pop3", "imap"]
SOON = 30.0 * PATIENCE  # seconds until all works in a mixture


def previous_commit():
    lines = (HERE / "previous.txt").read_text().splitlines()
    return next(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def cache():
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "merpati" / "previous" / previous_commit()


def build(folder):
    """The program of N-1, compiled from its own sources by its own ./dev."""
    source = folder / "source"
    if not source.exists():
        making = folder / "making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", previous_commit()], check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-x", "-C", str(making)], input=archive, check=True)
        making.rename(source)
    print(f"building {previous_commit()} in {source}", flush=True)
    subprocess.run(["./dev", "build", "dev", "merpati"], cwd=source, check=True, stdin=subprocess.DEVNULL)


def previous_program():
    """The program, or why there is none."""
    given = os.environ.get("MERPATI_PREVIOUS")
    program = pathlib.Path(given) / "bin" / "merpati" if given else cache() / "source" / "build" / "dev" / "bin" / "merpati"
    if given and not program.exists():
        return None, f"{program} does not exist"
    if not program.exists():
        if not required("versions"):
            return None, f"{previous_commit()} is not built; `./dev test versions` builds it, or set MERPATI_PREVIOUS"
        build(cache())
    return str(program), None


def without_unknown_keys(program, service, config):
    """A copy of the file `config` that `program` accepts."""
    known = config.with_name(f"{config.stem}-previous.yaml")
    content = yaml.safe_load(config.read_text())
    while True:
        known.write_text(yaml.safe_dump(content))
        check = subprocess.run([program, service, "--config", str(known), "--check-config"], capture_output=True, text=True, check=False)
        if check.returncode == 0:
            return known
        unknown = re.search(r": ([\w.]+): unknown key", check.stderr)
        if not unknown:
            raise RuntimeError(f"{program} refuses {known}: {check.stderr}")
        *path, last = unknown.group(1).split(".")
        place = content
        for key in path:
            place = place[key]
        del place[last]


class Mixtures:
    def __init__(self, everything, clients, previous):
        self.set, self.clients, self.previous = everything, clients, previous
        self.current = everything.processes.commands["store"][0][0]
        self.configs, self.known, self.problems = {}, {}, []

    def use(self, service, program):
        for name in [service, *(["store-second"] if service == "store" else [])]:
            command, owner = self.set.processes.commands[name]
            self.set.processes.commands[name] = ([program, *command[1:-1], self.config(name, service, command[-1], program)], owner)
            self.set.again(name)

    def config(self, name, service, given, program):
        """Of the process `name`, for `program`; commands end with it."""
        own = self.configs.setdefault(name, pathlib.Path(given))
        if program == self.current:
            return str(own)
        if name not in self.known:
            self.known[name] = without_unknown_keys(program, service, own)
        return str(self.known[name])

    def works(self, mixture):
        began = time.monotonic()
        restless = wait_calm(self.clients, began, SOON)
        if restless:
            self.problems.append(f"{mixture}: {restless} do not work")
            for client in self.clients:
                if client.name in restless:
                    print(f"PROBLEM {mixture}: {client.attempts[-1]}", flush=True)
        print(f"{mixture}: {'works' if not restless else 'FAILS'}", flush=True)

    def run(self, services):
        for service in services:
            self.use(service, self.previous)
            self.works(f"{service} of N-1 among N")
            self.use(service, self.current)
        for service in SERVICES:
            self.use(service, self.previous)
        self.works("all of N-1, with the schema of N")
        for service in services:
            self.use(service, self.current)
            self.works(f"{service} of N among N-1")
            self.use(service, self.previous)
        for service in SERVICES:
            self.use(service, self.current)
        self.works("all of N")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--service", action="append", choices=SERVICES)
    options = parser.parse_args()
    previous, hindrance = previous_program()
    if os.environ.get("MERPATI_TARGET_ENV"):
        hindrance = "an adopted instance cannot be given other programs"
    if hindrance:
        print(f"NOT RUN versions: {hindrance}")
        return 1 if required("versions") else EXIT_STATUS
    with Set(private=False, unchecked=False) as everything:
        problems = scenario(everything, previous, options.service or SERVICES)
    for problem in problems[:50]:
        print("PROBLEM " + problem)
    print("N and N-1 run together" if not problems else f"{len(problems)} problems", flush=True)
    return 1 if problems else 0


def scenario(everything, previous, services):
    with everything.under_load(pause=0.05) as (load, clients):
        mixtures = Mixtures(everything, clients, previous)
        if wait_calm(clients, time.monotonic(), SOON + CALM):
            return ["not all works before the first mixture"]
        mixtures.run(services)
    return mixtures.problems + load.check()


sys.exit(main())
