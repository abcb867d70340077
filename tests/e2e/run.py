#!/usr/bin/python3
"""Runs real mail programs against a Merpati that `./dev up` starts.

usage: run.py [--services] [TEST ...]       TEST as unittest names it: test_curl, test_curl.Curl.test_pop3

MERPATI_TARGET_ENV=<file> uses a server that runs already; MERPATI_KEEP_STATE=1 keeps the state directory.
"""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE), str(HERE / "cases")]

import mail_test  # noqa: E402  (needs the path above)
from instance import Instance  # noqa: E402


def main():
    arguments = sys.argv[1:]
    services = "--services" in arguments
    names = [name for name in arguments if not name.startswith("-")]
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(HERE / "cases"), top_level_dir=str(HERE / "cases"))
    with Instance(services=services) as instance:
        mail_test.MailTest.target = instance.target
        mail_test.MailTest.instance = instance
        result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)


main()
