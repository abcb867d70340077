#!/usr/bin/python3
"""The ledger itself: it must notice what it is there for."""
import hashlib
import random
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from ledger import EVERY_WAY, SINK_DOMAIN, Entry, Work, compose, from_ledger_on, sort_out  # noqa: E402


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

    def test_bounces(self):
        def problems(outcome, bounces):
            work = Work(None, 0, 0, 0, 0)
            work.entries = [Entry("1", ["a", f"refused1@{SINK_DOMAIN}"], b"good", "bounced", outcome, bounce_to="b")]
            copies = {"1": [b"good"]} if outcome == "acknowledged" else {}
            return work.compare({"a": copies, "b": {}}, {}, bounces)[0]

        self.assertEqual(problems("acknowledged", {"b": {"1": 1}}), [])
        self.assertEqual(problems("in_doubt", {}), [])
        self.assertIn("no bounce", problems("acknowledged", {})[0])
        self.assertIn("2 bounces", problems("acknowledged", {"b": {"1": 2}})[0])
        self.assertIn("never sent", problems("not_sent", {"b": {"1": 1}})[0])
        self.assertIn("nobody is owed", problems("acknowledged", {"a": {"1": 1}, "b": {"1": 1}})[0])
        self.assertIn("nobody sent", problems("acknowledged", {"b": {"1": 1, "2": 1}})[0])

    def test_bounces_are_told_from_copies(self):
        copy = b"X-Ledger: 7\r\nSubject: x\r\n\r\nbody\r\n"
        bounce = b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\nReceived: y\r\n" + copy + b"--x--\r\n"
        found, bounces = sort_out([b"Received: x\r\n" + copy, bounce])
        self.assertEqual(found, {"7": [hashlib.sha256(copy).digest()]})
        self.assertEqual(bounces, {"7": 1})

    def test_two_rounds_do_not_share_an_address_elsewhere(self):
        # Their numbers start again at 1; a shared address would show one round's mail as the other's, changed.
        for way in ("mixed", "bounced"):
            rounds = [compose(random.Random(seed), 1, way, False, "u%d@example.test", 5)[0] for seed in ("a", "b")]
            self.assertNotEqual(rounds[0].recipients[1], rounds[1].recipients[1])

    def test_what_is_sent_is_what_is_compared(self):
        for way, large in EVERY_WAY:
            entry, message, user = compose(random.Random(3), 1, way, large, "u%d@example.test", 5)
            self.assertEqual(sort_out([b"Received: x\r\n" + message])[0], {entry.id: [entry.digest]})
            self.assertEqual(len(message) > 65536, large)
            self.assertEqual(entry.bounce_to, user if way == "bounced" else "")


unittest.main()
