#!/usr/bin/python3
"""A sanitizer's report in a log of an instance is seen, whichever sanitizer wrote it."""
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from instance import sanitizer_reports  # noqa: E402  (needs the path above)


class Reports(unittest.TestCase):
    def reports_of(self, text):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "store.log").write_text(text, encoding="utf-8")
            return sanitizer_reports(folder)

    def test_each_sanitizer(self):
        for first in ("==123==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010",
                      "==123==ERROR: LeakSanitizer: detected memory leaks",
                      "WARNING: ThreadSanitizer: data race (pid=123)",
                      "/src/libs/mime/src/address.cpp:27:8: runtime error: signed integer overflow"):
            found = self.reports_of('{"event":"started"}\n' + first + "\n    #0 somewhere\n")
            self.assertEqual(len(found), 1, first)
            self.assertTrue(found[0].startswith("store.log:2:\n" + first), found[0])

    def test_ordinary_lines(self):
        self.assertEqual(self.reports_of('{"event":"start_failed","msg":"a runtime error: WARNING: ThreadSanitizer"}\n'), [])


unittest.main()
