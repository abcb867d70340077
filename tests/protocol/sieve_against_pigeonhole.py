#!/usr/bin/env python3
"""Runs generated Sieve scripts over generated mail by `merpatictl sieve test` and by Pigeonhole's `sieve-test`, and prints
where the actions differ.

    sieve_against_pigeonhole.py --merpatictl build/dev/bin/merpatictl [--scripts 150] [--seed 1] [--verbose]

Every statement of a script files under a name of its own, so that a difference names its statement. Differences that are
known and meant are in EXPECTED, each with its reason. Exit status 0: no other difference; 77: there is no sieve-test.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]
import not_run  # noqa: E402

EXPECTED = [  # (in "statement NUL script NUL message", why)
    (r"^[^\0]*i;ascii-numeric", "RFC 4790 9.1.1: two values that are no numbers are equal, both infinite; there nothing is"),
    (r"^[^\0]*:detail :count", "an address without a detail has none that counts; there it counts as an address"),
    (r"^[^\0]*:index \d[^\0]*:count", "the field that :index chose counts 1; there :count sees all fields"),
    (r"^[^\0]*string +(:\w+ (\"..\" )?)?\[", "the default comparator is i;ascii-casemap (RFC 5228 2.7.3); there `string` without one heeds case"),
    (r"^[^\0]*:regex [^\0]*m\.ke", "a dot is one character of UTF-8; there one octet"),
    (r"^[^\0]*body :raw[^\0]*\0.*(add|delete)header", "the raw body is there after an edit of the header too"),
    (r"^[^\0]*address [^\0]*\0.*\0.*undisclosed-recipients", "a group without members has no address (RFC 5228 5.1); there it has an empty one"),
]

CONF = """
log_path = /dev/stderr
base_dir = {d}/run
mail_home = {d}/home
mail_location = maildir:{d}/home/Maildir
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 0
protocols =
ssl = no
postmaster_address = postmaster@example.org
plugin {{
  sieve_extensions = +editheader +spamtest +spamtestplus +virustest
  sieve_max_actions = 100
}}
"""
REQUIRE = ["fileinto", "copy", "imap4flags", "variables", "relational", "regex", "date", "index", "body", "envelope",
           "subaddress", "editheader", "comparator-i;ascii-numeric", "mailbox", "foreverypart", "mime", "extracttext",
           "encoded-character", "ihave", "environment", "enotify"]

SUBJECTS = ["hello", "Re: [list-dev] make money fast", "", "  padded  ", "=?utf-8?q?m=C3=A4ke_money?=", "12", "0012 apples",
            "a*b?c\\d", "=?iso-8859-1?b?5Pb8?= x", "long words " * 12, "folded\r\n line"]
ADDRESSES = ["a@b.example", "\"A B\" <a+detail@B.Example>", "a@b.example, \"C, D\" <c@d.example>", "undisclosed-recipients:;",
             "grp: x@y.example, z@y.example;", "a+b+c@d.example (comment)", "<plain@host.example>", "A.User@SUB.b.example"]
BODIES = ["Hello World\r\n", "", "<b>bold</b> text\r\n", "one\r\ntwo *stars*\r\n", "x" * 3000 + "\r\n"]
WORDS = ["hello", "money", "list", "a", "", "12", "b.example", "detail", "Fast", "m\u00e4ke", "x", "A", "d.example"]
PATTERNS = ["*", "?*", "*money*", "hel?o", "[*] *", "*[*]*", "a\\\\*b*", "*@b.example", "?", "", "*a*e*", "re:*"]
REGEXES = ["^re:", "(a|m)o?n", "[0-9]+", "^$", "(he)(l+)o", "\\\\[[^]]+\\\\]", "m.ke", "e$", "(a*)(b?)"]


def quote(text):
    return '"' + text.replace('"', '\\"') + '"'


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, *choices):
        return self.random.choice(choices)

    def message(self):
        r = self.random
        lines = []
        if r.random() < 0.7:
            lines += ["Received: from x by y; Mon, 24 Nov 2025 %02d:%02d:05 -0500" % (r.randrange(24), r.randrange(60))]
        lines += ["From: " + r.choice(ADDRESSES), "To: " + r.choice(ADDRESSES)]
        if r.random() < 0.5:
            lines += ["Cc: " + r.choice(ADDRESSES)]
        lines += ["Subject: " + r.choice(SUBJECTS)]
        if r.random() < 0.3:
            lines += ["Subject: second"]
        lines += ["Date: Tue, %d Jul 2025 %02d:59:00 %s" % (r.randrange(1, 29), r.randrange(24), r.choice(["-0500", "+0000", "+0230"])),
                  "X-Score: " + r.choice(["5", "10", "007", "none", ""])]
        body = r.choice(BODIES)
        if r.random() < 0.4:
            lines += ["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=B"]
            body = ("--B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                    "m=C3=A4ke Hello\r\n--B\r\nContent-Type: application/octet-stream; name=\"a.exe\"\r\n"
                    "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8gd29ybGQ=\r\n--B--\r\n")
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def keys(self, match):
        pool = PATTERNS if match == ":matches" else REGEXES if match == ":regex" else WORDS
        if self.random.random() < 0.3:
            return "[" + ", ".join(quote(self.random.choice(pool)) for _ in range(2)) + "]"
        return quote(self.random.choice(pool))

    def match(self):
        """Match type with comparator, and keys."""
        kind = self.pick(":is", ":contains", ":matches", ":regex", ":value", ":count", "")
        comparator = self.pick("", "", "i;octet", "i;ascii-casemap", "i;ascii-numeric")
        relation = self.pick("gt", "ge", "lt", "le", "eq", "ne")
        if kind == ":count":
            return f':count "{relation}" :comparator "i;ascii-numeric"', quote(str(self.random.randrange(4)))
        if kind in (":contains", ":matches", ":regex") and comparator == "i;ascii-numeric":
            comparator = ""
        text = f':value "{relation}"' if kind == ":value" else kind
        return text + (f' :comparator "{comparator}"' if comparator else ""), self.keys(kind)

    def test(self, depth=0):
        kind = self.pick("header", "header", "address", "envelope", "exists", "size", "string", "date", "body", "hasflag",
                         "currentdate", "mime", "index", "ihave", "notify", "not", "anyof", "allof")
        match, keys = self.match()
        field = self.pick('"subject"', '["subject", "x-score"]', '"x-score"', '"x-none"', '"to"', '"received"')
        if kind == "header":
            return f"header {match} {field} {keys}"
        if kind == "index":
            return f'header :index {self.random.randrange(1, 4)} {self.pick("", ":last")} {match} "subject" {keys}'
        if kind == "address":
            part = self.pick("", ":all", ":localpart", ":domain", ":user", ":detail")
            return f'address {part} {match} {self.pick(chr(34) + "from" + chr(34), "[" + quote("to") + "," + quote("cc") + "]")} {keys}'
        if kind == "envelope":
            part = self.pick("", ":all", ":localpart", ":domain", ":user", ":detail")
            return f'envelope {part} {match} "{self.pick("from", "to")}" {keys}'
        if kind == "exists":
            return f"exists {field}"
        if kind == "size":
            return f'size {self.pick(":over", ":under")} {self.pick("1", "300", "1K", "2K", "1M")}'
        if kind == "string":
            return f'string {match} [{quote(self.pick("hello", "${v}", "${none}", "12"))}, "${{v}}x"] {keys}'
        if kind == "date":
            part = self.pick("year", "month", "day", "date", "hour", "minute", "weekday", "julian", "time", "zone", "iso8601", "std11")
            zone = self.pick(":originalzone", ':zone "+0100"', ':zone "-0830"')
            return (f'date {zone} {self.pick(":contains", ":value " + quote("ge"))} {self.pick(quote("date"), quote("received"))} "{part}" '
                    f'{quote(self.pick("2025", "07", "1", "12", "2025-07-15", "60871", "+0100"))}')
        if kind == "currentdate":
            return 'currentdate :value "ge" "year" "2025"'
        if kind == "body":
            return f'body {self.pick(":raw", ":text", ":content " + quote("text"))} {self.pick(":contains", ":is")} {quote(self.random.choice(WORDS[:12]))}'
        if kind == "hasflag":
            return f'hasflag {self.pick(":is", ":contains", ":matches")} {quote(self.pick(chr(92) * 2 + "Seen", "$work", "*", "see"))}'
        if kind == "mime":
            return (f'header :mime {self.pick("", ":anychild")} {self.pick(":type", ":subtype", ":contenttype", ":param " + quote("name"))} '
                    f'{self.pick(":is", ":contains")} "content-type" {quote(self.pick("text", "plain", "multipart/mixed", "a.exe", "octet"))}')
        if kind == "ihave":
            return f'ihave {self.pick(quote("fileinto"), quote("vnd.none"))}'
        if kind == "notify":
            return f'valid_notify_method {self.pick(quote("mailto:a@b.example"), quote("nothing:x"))}'
        if depth > 2:
            return "true"
        if kind == "not":
            return "not " + self.test(depth + 1)
        return f"{kind} (" + ", ".join(self.test(depth + 1) for _ in range(2)) + ")"

    def change(self):
        return self.pick(
            'addflag "\\\\Seen";', 'addflag ["$work", "\\\\Flagged"];', 'removeflag "$WORK";', 'setflag "$a $b";',
            'if header :matches "subject" "*o*" { set "v" "${1}-${2}"; }', 'set :upper "v" "hello";',
            'set :length "v" "${v}\u00e4";', 'set :lower :upperfirst "v" "mONEY";', 'set :quotewildcard "v" "a*b";',
            'addheader "X-Score" "99";', 'addheader :last "Subject" "added";', 'deleteheader "subject";',
            'deleteheader :index 1 "subject";', 'deleteheader :contains "x-score" "0";',
            'if header :regex "subject" "(h)(e|o)" { set "v" "${1}${2}"; }', 'set :encodeurl "v" "a b/\u00e4";')

    def script(self):
        """The statements, and the script made of them."""
        statements = []
        for number in range(8):
            test = self.test()
            statements.append(f'if {test} {{ fileinto :copy "t{number}"; }}')
            if self.random.random() < 0.6:
                statements.append(self.change())
        statements.append('fileinto :copy "v-${v}";')
        end = self.pick("", "", "keep;", "discard;", 'redirect "x@y.example";', 'fileinto "last";', "stop;")
        head = "require [" + ", ".join(map(quote, REQUIRE)) + "];\n"
        return statements, head + "\n".join(statements) + "\n" + end + "\n"


def shortened(name):
    return name[:80]


def flags_text(flags):
    return "".join(sorted(" " + flag.lower() for flag in flags))


def ask_merpati(program, script, message, envelope):
    done = subprocess.run([program, "-o", "json", "sieve", "test", "--no-trace", "--from", envelope[0], "--to", envelope[1], script, message],
                          capture_output=True, text=True, timeout=60)
    if not done.stdout:
        return {"refused": done.stderr}
    result = json.loads(done.stdout)
    if "error" in result:
        return {"error": result["error"]["message"]}
    out = {}
    for action in result["actions"]:
        kind = action["action"]
        if kind.startswith("keep") or kind == "fileinto":
            out["store " + shortened(action.get("mailbox", "INBOX"))] = flags_text(action["flags"])
        elif kind != "discard":
            out[kind + " " + action["what"]] = ""
    return out


def ask_pigeonhole(conf, script, message, envelope):
    done = subprocess.run(["sieve-test", "-c", conf, "-f", envelope[0], "-r", envelope[1], script, message], capture_output=True,
                          text=True, timeout=60)
    if "failed to compile" in done.stderr:
        return {"refused": done.stderr}
    if "final result: success" not in done.stderr:
        return {"error": done.stderr}
    out, last = {}, None  # it cuts long names, and so do we
    for line in done.stdout.splitlines():
        if found := re.match(r" \* store message in folder: (.*)", line):
            last = "store " + shortened(found[1])
            out.setdefault(last, "")
        elif found := re.match(r" \* redirect message to: <(.*)>", line):
            last = "redirect " + found[1]
            out[last] = ""
        elif found := re.match(r"\s+\+ add IMAP flags: (.*)", line):
            out[last] = flags_text(found[1].split())
    return out


def explained(statement, source, message):
    return next((why for pattern, why in EXPECTED if re.search(pattern, "\0".join([statement, source, message]), re.S)), None)


def compare(number, options, directory, conf):
    """How many actions there are on both sides, then the differences of one script, as (explanation or None, text)."""
    generator = Generator(options.seed * 1_000_000 + number)
    statements, source = generator.script()
    message = generator.message()
    envelope = generator.pick("s+x@b.example", "Plain@Host.example"), generator.pick("a+detail@d.example", "me@d.example")
    script, mail = directory / f"{number}.sieve", directory / f"{number}.eml"
    script.write_text(source)
    mail.write_bytes(message.encode())
    ours, theirs = (ask_merpati(options.merpatictl, script, mail, envelope), ask_pigeonhole(conf, script, mail, envelope))
    found = [(True, len(ours.keys() & theirs.keys()))]
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) == theirs.get(key):
            continue
        label = re.match(r"store (t\d)$", key)
        named = [one for one in statements if label and f'"{label[1]}"' in one] or [source]
        why = explained(named[0], source, message) if label else None
        found.append((why, f"script {number}: {key}: ours {ours.get(key)!r}, theirs {theirs.get(key)!r}\n    {named[0]}"))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--merpatictl", required=True)
    parser.add_argument("--scripts", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    try:
        not_run.need_programs("protocol", "sieve-test")
    except not_run.unittest.SkipTest:
        return not_run.EXIT_STATUS
    unexpected = meant = same = 0
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        root = os.getuid() == 0
        conf = directory / "dovecot.conf"
        conf.write_text(CONF.format(d=directory, user="nobody" if root else os.getuid(), group="nogroup" if root else os.getgid()))
        (directory / "home").mkdir()
        os.chmod(directory, 0o777)
        os.chmod(directory / "home", 0o777)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for found in pool.map(lambda number: compare(number, options, directory, conf), range(options.scripts)):
                same += found[0][1]
                for why, text in found[1:]:
                    meant += why is not None
                    unexpected += why is None
                    if why is None or options.verbose:
                        print((f"meant ({why}): " if why else "DIFFERENT: ") + text)
    print(f"{options.scripts} scripts, {same} actions in both, {unexpected} differences, {meant} that are known and meant")
    return 1 if unexpected or same < options.scripts else 0


if __name__ == "__main__":
    sys.exit(main())
