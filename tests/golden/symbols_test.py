#!/usr/bin/python3
"""The names of symbols that policies may weigh (services/filter/symbol_names.cpp) against the engines that find them."""
import pathlib
import re
import sys
import unittest

sys.dont_write_bytecode = True
FILTER = pathlib.Path(__file__).resolve().parents[2] / "services/filter"
ENGINES = ("*_engine.cpp", "*_checks.cpp", "*_findings.cpp")
# Literals that are no symbols, and symbols of what could not be looked at, which count nothing.
NO_SYMBOLS = {"PONG", "ATTACHMENTS", "CONTENT", "CLAMD", "PARTS", "DKIM_TOO_LARGE", "ARCHIVE_SIZE"}
BY_RECIPIENT = {"OWN_BAYES_SPAM", "OWN_BAYES_HAM"}  # made of a prefix


def literals(text):
    return set(re.findall(r'"([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*)"', text))


class Symbols(unittest.TestCase):
    def test_every_symbol_is_known(self):
        known = set(re.findall(r'^    \{"([A-Z0-9_]+)"', (FILTER / "symbol_names.cpp").read_text(encoding="utf-8"), re.M))
        self.assertGreater(len(known), 50, "the table has another form")
        found = set()
        for pattern in ENGINES:
            for path in FILTER.glob(pattern):
                found |= {name for name in literals(path.read_text(encoding="utf-8")) if len(name) > 3}
        found = {name for name in found if not name.endswith("_TEMPERROR")} - NO_SYMBOLS
        self.assertEqual(sorted(found - known), [], "symbols that symbol_names.cpp does not know")
        self.assertEqual(sorted(known - found - BY_RECIPIENT), [], "names that no engine gives to a symbol")


if __name__ == "__main__":
    unittest.main()
