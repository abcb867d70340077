#!/usr/bin/python3
"""The ledger itself: it must notice what it is there for."""
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from ledger import Entry, Work, from_ledger_on  # noqa: E402


class Compare(unittest.TestCase):
    def problems(self, outcome, copies, recipients=("a",)):
        work = Work(None, 0, 0, 0, 0)
        work.entries = [Entry("1", list(recipients), b"good", "mx", outcome)]
        found = {"a": {"1": copies} if copies else {}, "b": {}}
        return work.compare(found)[0]

    def test_what_is_right(self):
        self.assertEqual(self.problems("acknowledged", [b"good"]), [])
        self.assertEqual(self.problems("in_doubt", [b"good"]), [])
        self.assertEqual(self.problems("in_doubt", []), [])
        self.assertEqual(self.problems("refused", []), [])
        self.assertEqual(self.problems("not_sent", []), [])

    def test_what_is_wrong(self):
        self.assertIn("lost", self.problems("acknowledged", [])[0])
        self.assertIn("2 copies", self.problems("acknowledged", [b"good", b"good"])[0])
        self.assertIn("2 copies", self.problems("in_doubt", [b"good", b"good"])[0])
        self.assertIn("changed", self.problems("acknowledged", [b"bad"])[0])
        self.assertIn("never sent", self.problems("not_sent", [b"good"])[0])
        self.assertIn("lost", self.problems("acknowledged", [b"good"], ("a", "b"))[0])
        self.assertIn("somebody else", self.problems("acknowledged", [b"good"], ("b",))[-1])

    def test_the_message_starts_at_its_mark(self):
        self.assertEqual(from_ledger_on(b"Received: x\r\nX-Ledger: 1\r\n\r\nb"), b"X-Ledger: 1\r\n\r\nb")


unittest.main()
