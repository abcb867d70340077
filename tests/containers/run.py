#!/usr/bin/python3
"""The platform as containers: `./dev test containers` (README.md).

usage: run.py [--tag TAG] [CASE ...]        CASE: Image Mail Rolls Kills Partitions Compose; all without an argument

--tag uses images that are there instead of building them. MERPATI_SEED repeats the choices; MERPATI_KEEP_STATE=1 keeps the set.
"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "fault"), str(HERE)]

import cases  # noqa: E402  (needs the path above)
import compose_case  # noqa: E402
import docker_cli  # noqa: E402
import not_run  # noqa: E402
from container_set import ContainerSet, say  # noqa: E402
from instance import ROOT  # noqa: E402

BASES = ("debian:bookworm-slim", "merpati-base:bookworm")


def why_not():
    """What is missing, or nothing."""
    if not shutil.which("docker"):
        return "there is no docker command; ./dev test containers installs it"
    if not docker_cli.answers():
        return "the Docker daemon does not answer; start it with systemctl start docker, or dockerd as root"
    if not shutil.which("debootstrap") and not any(docker_cli.succeeds("image", "inspect", base) for base in BASES):
        return "there is neither a base image nor debootstrap; ./dev test containers installs it"
    if not shutil.which("go") and not (ROOT / "build/image/s3/versitygw").exists():
        return "the S3 gateway of the tests is compiled with Go, which is not installed"
    return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tag")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    reason = why_not()
    if reason:
        try:
            not_run.not_run("containers", reason)
        except unittest.SkipTest:
            return not_run.EXIT_STATUS
    preset = os.environ.get("MERPATI_PRESET", "dev")
    tag = options.tag or "containers-test"
    if not options.tag:
        subprocess.run([ROOT / "dev", "image", "--preset", preset, "--no-build", "--helpers", "--tag", tag], check=True,
                       stdin=subprocess.DEVNULL)
    say(f"seed {cases.SEED} (MERPATI_SEED)")
    # Ends the set also when it is ended itself.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    wanted = [case for case in cases.CASES if not options.cases or case.__name__ in options.cases]
    succeeded = True
    if wanted:
        with ContainerSet(tag, ROOT / "build" / preset / "bin") as containers:
            cases.Containers.containers = containers
            succeeded = run(wanted)
            if not succeeded:
                for short in containers.started:
                    print(f"--- the end of the log of {short}\n{containers.log(short)}", flush=True)
    if not options.cases or "Compose" in options.cases:
        compose_case.Compose.tag = tag
        succeeded = run([compose_case.Compose]) and succeeded
    return 0 if succeeded else 1


def run(wanted):
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in wanted)
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    return result.wasSuccessful() and result.testsRun > 0


sys.exit(main())
