"""NOT RUN: a suite or test that cannot run says so with its reason; MERPATI_REQUIRE=suite,... makes that a failure."""
import os
import shutil
import sys
import unittest

EXIT_STATUS = 77  # of a suite of which nothing ran; ctest then calls it skipped


def required(suite):
    names = os.environ.get("MERPATI_REQUIRE", "").split(",")
    return suite in names or "all" in names


def not_run(suite, reason):
    """Skips the running test, or fails it where the suite is required."""
    print(f"NOT RUN {suite}: {reason}", flush=True)
    if required(suite):
        raise AssertionError(f"{suite} is required, but: {reason}")
    raise unittest.SkipTest(reason)


def need_programs(suite, *programs):
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        not_run(suite, "not installed: " + ", ".join(missing))


def main():
    """unittest.main() for suites that may not run at all."""
    result = unittest.main(exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(EXIT_STATUS if len(result.skipped) >= max(result.testsRun, 1) else 0)
