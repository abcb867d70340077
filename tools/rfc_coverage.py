#!/usr/bin/env python3
"""Checks that the RFCs named in the code and docs/rfc/index.tsv agree, and prints the coverage page.

usage: tools/rfc_coverage.py --check     exit 1 when the code names an RFC that the index lacks, or when the index claims
                                         one that no code names
       tools/rfc_coverage.py --print     prints the coverage page in Markdown

index.tsv has one line for each RFC: number, status (whole, partial, related), title, what is missing.
"""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INDEX = ROOT / "docs/rfc/index.tsv"
STATUSES = ("whole", "partial", "related")
# "RFC 5321 4.5.3.1.4: ..." names the document and, where it follows, the section.
NAMED = re.compile(r"RFCs? ?(\d{3,5})(?:[ ,]+(?:section )?(\d+(?:\.\d+)*)(?![\d-]))?")


def read_index():
    rows = {}
    for line in INDEX.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) < 3 or fields[1] not in STATUSES:
            sys.exit(f"{INDEX.name}: '{line}': number, status ({', '.join(STATUSES)}), title, missing; by tabs")
        rows[int(fields[0])] = (fields[1], fields[2], fields[3] if len(fields) > 3 else "")
    return rows


def read_code():
    """RFC number -> room -> the sections named there."""
    named = collections.defaultdict(lambda: collections.defaultdict(set))
    for top in ("libs", "services", "proto"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix not in (".cpp", ".hpp", ".proto", ".sql"):
                continue
            parts = path.relative_to(ROOT).parts
            room = "/".join(parts[:2]) if top != "proto" else "proto"
            for match in NAMED.finditer(path.read_text(errors="replace")):
                named[int(match[1])][room].add(match[2] or "")
    return named


def page(index, named):
    lines = ["# RFC coverage", "",
             "Made from `docs/rfc/index.tsv` and the clauses named in the code.", "",
             "| RFC | title | status | where | clauses named | missing |", "| --- | --- | --- | --- | --- | --- |"]
    for number, (status, title, missing) in sorted(index.items()):
        rooms = named.get(number, {})
        clauses = len(set().union(*rooms.values()) - {""}) if rooms else 0
        lines.append(f"| {number} | {title} | {status} | {', '.join(f'`{room}`' for room in sorted(rooms))} | {clauses} | "
                     f"{missing} |")
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:] not in (["--check"], ["--print"]):
        sys.exit(__doc__)
    index, named = read_index(), read_code()
    if sys.argv[1] == "--print":
        print(page(index, named), end="")
        return
    problems = [f"RFC {n} is named in {', '.join(sorted(named[n]))} and missing in {INDEX.relative_to(ROOT)}"
                for n in sorted(named) if n not in index]
    problems += [f"RFC {n} is claimed as {row[0]} in {INDEX.relative_to(ROOT)} and named nowhere in the code"
                 for n, row in sorted(index.items()) if n not in named and row[0] != "related"]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(index)} RFCs, code and index agree")


main()
