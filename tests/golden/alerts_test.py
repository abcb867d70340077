#!/usr/bin/python3
"""The chart's alert rules and dashboards: only metrics of docs/metrics.md, a runbook for each alert, and rules that fire when
they should (with promtool)."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import metrics  # noqa: E402  (needs the path above)

ROOT = metrics.ROOT
RULES = sorted((ROOT / "helm/merpati/alerts").glob("*.yaml"))
DASHBOARDS = sorted((ROOT / "helm/merpati/dashboards").glob("*.json"))
SECTIONS = ["## Meaning", "## Impact", "## Diagnosis", "## Remedy"]


def alerts():
    """(name, expression, runbook_url) of every alert. The files are plain: one key in each line."""
    for path in RULES:
        text = path.read_text(encoding="utf-8")
        for block in text.split("- alert: ")[1:]:
            expression = re.search(r"^ +expr: '(.*)'$", block, re.M)[1].replace("''", "'")
            yield block.split("\n", 1)[0], expression, re.search(r"runbook_url: (\S+)", block)[1]


class Rules(unittest.TestCase):
    def known(self, expression, where):
        golden = metrics.golden()
        names = set(re.findall(r"merpati_[a-z0-9_]+", expression))
        self.assertTrue(names, where)
        for name in names:
            base = name if name in golden else metrics.base_name(name)
            self.assertIn(base, golden, f"{where} uses {name}, which docs/metrics.md does not have")
            if base != name:
                self.assertEqual(golden[base].kind, "histogram", f"{where}: {name}")
            for label in re.findall(name + r"\{([^}]*)\}", expression):
                used = set(re.findall(r"([a-z_]+)\s*(?:=~|!=|!~|=)", label)) - {"namespace", "le"}
                self.assertLessEqual(used, golden[base].labels, f"{where}: {name} has no such label")

    def test_alerts_use_the_golden_list(self):
        self.assertGreater(len(list(alerts())), 20)
        for name, expression, _ in alerts():
            self.known(expression, name)

    def test_each_alert_has_its_runbook(self):
        names = [name for name, _, _ in alerts()]
        self.assertEqual(len(names), len(set(names)), "two alerts of one name")
        pages = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")} - {"README"}
        self.assertEqual(sorted(names), sorted(pages))
        listed = (ROOT / "docs/runbooks/README.md").read_text(encoding="utf-8")
        for name, expression, url in alerts():
            page = (ROOT / url).read_text(encoding="utf-8")
            self.assertEqual(pathlib.Path(url).stem, name)
            self.assertEqual(re.findall(r"^## .*$", page, re.M), SECTIONS, name)
            self.assertIn("```\n" + expression + "\n```", page, f"{name}: the runbook shows another rule")
            self.assertIn(f"[{name}]({name}.md)", listed)

    def test_dashboards_use_the_golden_list(self):
        self.assertTrue(DASHBOARDS)
        shown = set()
        for path in DASHBOARDS:
            board = json.loads(path.read_text(encoding="utf-8"))
            self.assertEqual(board["uid"], "merpati-" + path.stem)
            ids = [panel["id"] for panel in board["panels"]]
            self.assertEqual(len(ids), len(set(ids)))
            for panel in board["panels"]:
                for target in panel.get("targets", []):
                    where = f"{path.name}: {panel['title']}"
                    self.known(target["expr"], where)
                    shown.update(metrics.base_name(name) for name in re.findall(r"merpati_[a-z0-9_]+", target["expr"]))
        self.assertIn("merpati_rpc_call_seconds", shown)

    def promtool(self, *arguments):
        tool = shutil.which("promtool")
        if tool is None:
            print("NOT RUN promtool: Debian's package prometheus is not installed")
            if "promtool" in os.environ.get("MERPATI_REQUIRE", "").split(","):
                self.fail("MERPATI_REQUIRE asks for it")
            self.skipTest("no promtool")
        done = subprocess.run([tool, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_promtool_takes_the_rules(self):
        self.promtool("check", "rules", *map(str, RULES))

    def test_rules_fire_when_they_should(self):
        self.promtool("test", "rules", *map(str, sorted((HERE / "alerts").glob("*.yaml"))))


if __name__ == "__main__":
    unittest.main()
