#!/usr/bin/python3
"""docs/metrics.md against the source: every metric is listed, and what is listed exists and is named by the rules."""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import metrics  # noqa: E402  (needs the path above)

# Literals that are no metrics: channels of NOTIFY, and how names of statements begin.
NO_METRICS = {"merpati_store", "merpati_auth_events", "merpati_pooler_"}
UNITS = ("_seconds", "_bytes", "_copies")


class Golden(unittest.TestCase):
    def test_the_list_is_what_the_code_makes(self):
        histograms = {m.name for m in metrics.golden().values() if m.kind == "histogram"}
        found = {name if metrics.base_name(name) not in histograms else metrics.base_name(name) for name in metrics.in_source()}
        self.assertEqual(sorted(found - NO_METRICS), sorted(metrics.golden()),
                         "docs/metrics.md and the metrics' names in libs/ and services/ differ")

    def test_names_follow_the_rules(self):
        for metric in metrics.golden().values():
            with self.subTest(metric.name):
                self.assertRegex(metric.name, "^merpati_[a-z0-9]+_[a-z0-9_]+$")
                self.assertEqual(metric.kind == "counter", metric.name.endswith("_total"))
                if metric.kind == "histogram":
                    self.assertTrue(metric.name.endswith(UNITS), "a histogram ends in its unit")
                self.assertIn(metric.kind, ("counter", "gauge", "histogram"))

    def test_every_label_is_explained(self):
        used = set().union(*(metric.labels for metric in metrics.golden().values()))
        self.assertEqual(sorted(used), sorted(metrics.known_labels()))


if __name__ == "__main__":
    unittest.main()
