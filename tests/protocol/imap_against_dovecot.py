#!/usr/bin/env python3
"""Asks an IMAP server and Debian's Dovecot the same questions about the same mail, and prints where the answers differ.

    imap_against_dovecot.py --port 2143 --user alice@example.test --password ... [--dovecot-port 24100] [--verbose]

Starts a private Dovecot. Both mailboxes get the messages of tests/support/mail_corpus.py by APPEND. Differences that are
known and meant are in EXPECTED, each with its reason. Exit status 0: no other difference.
"""
import argparse
import datetime
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "bench")]
import mail_corpus  # noqa: E402
from imap_answers import Parser, lower  # noqa: E402

EXPECTED = [  # (the message's name or the group, the command, why)
    (r".*", r"BINARY", "Dovecot refuses damaged encodings; we decode what can be decoded"),
    (r".*", r"PEEK\[\d(\.\d)?\.1(\.MIME)?\]$", "Dovecot shows a leaf as its own part 1; RFC 9051 6.4.5.1 gives it none"),
    (r"headers-only|no-blank-line", r"FIELDS.NOT", "Dovecot leaves the empty line out of this one form"),
    (r"no-boundary|nested-same-boundary", r"BODY", "multiparts that are none: libs/mime shows the text instead of an empty part"),
    (r"bad-from-and-date", r"ENVELOPE", "Dovecot writes MISSING_MAILBOX for addresses that are none"),
    (r"tree", r"^(LIST|DELETE)", "CREATE a/b makes a real mailbox a here, as Cyrus does; Dovecot makes a \\Noselect name"),
    (r"search", r"SENT(BEFORE|ON|SINCE)", "a message whose Date cannot be read has no sent date for us, 1970 for Dovecot"),
    (r"search", r"CHARSET UTF-8 SUBJECT", "text that is none in its charset: NO here, BAD there"),
    (r"search", r"CHARSET \S+ TEXT", "8-bit in a header without a charset is found here"),
    (r"tree", r"^CREATE INBOX|^SUBSCRIBE gone|STATUS.*DELETED", "left open by RFC 9051, or not in Dovecot 2.3; we say \\NonExistent in extended LIST"),
    (r"change", r"^(UID )?STORE", "Dovecot tells no FETCH when the flags were so already; RFC 9051 6.4.6 says the new value"),
]

CONF = """
base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
mail_uid = mail
mail_gid = mail
mail_home = {d}/mail/%n
mail_location = sdbox:~/sdbox
disable_plaintext_auth = no
ssl = no
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={d}/mail/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


class Client:
    def __init__(self, port, user, password):
        for _ in range(50):
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 30)
                break
            except OSError:
                time.sleep(0.1)
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.number = 0
        condition, _ = self.run(f"LOGIN {user} {password}")
        assert condition == "OK", "login failed"

    def response(self):
        """One response with its literals."""
        out = self.file.readline()
        while (literal := re.search(rb"\{(\d+)\}\r\n$", out)) is not None:
            out += self.file.read(int(literal[1])) + self.file.readline()
        if not out:
            raise SystemExit("the server closed the connection")
        return out

    def run(self, command, literal=None):
        """(OK/NO/BAD, untagged responses)"""
        self.number += 1
        tag = f"t{self.number}".encode()
        self.socket.sendall(tag + b" " + command.encode("latin-1") + b"\r\n" + (literal + b"\r\n" if literal is not None else b""))
        untagged = []
        while True:
            line = self.response()
            if line.startswith(tag + b" "):
                self.last = line
                return line.split()[1].decode(), untagged
            untagged.append(line)


def fetched(untagged):
    """{attribute: value} of a single FETCH response."""
    for line in untagged:
        words = line.split(b" ", 3)
        if len(words) > 3 and words[2] == b"FETCH":
            parser = Parser(line.replace(b" ~{", b" {"))
            parser.at = line.index(b"(")
            items = parser.value()
            return {items[i]: normal(items[i], items[i + 1]) for i in range(0, len(items) - 1, 2)}
    return {}


def normal(name, value):
    if name in (b"BODY", b"BODYSTRUCTURE"):
        return lower(value)
    if name == b"FLAGS":
        return frozenset(value)
    if name == b"INTERNALDATE":  # each in its own zone
        return datetime.datetime.strptime(value[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()
    return value


def change_lines(untagged):
    """What a STORE or EXPUNGE tells, whatever the order of flags."""
    out = []
    for line in untagged:
        if b"FETCH" in line:
            out.append((line.split()[1], sorted((k, sorted(v) if isinstance(v, frozenset) else v) for k, v in fetched([line]).items())))
        elif b"EXPUNGE" in line:
            out.append(line)
    return out


def sorted_lines(untagged):
    return sorted(normal_list(line) for line in untagged if not re.match(rb"\* (\d+ (EXISTS|RECENT)|FLAGS |OK \[PERMANENTFLAGS)", line))


def normal_list(line):
    found = re.match(rb"\* (LIST|LSUB) \(([^)]*)\) (.*)\r\n", line)
    if found is None:
        return line
    flags = {f.lower() for f in found[2].split()} - {b"\\unmarked", b"\\marked", b"\\noinferiors"}
    return found[1] + b" " + b" ".join(sorted(flags)) + b" " + found[3].replace(b'"', b"")


SECTIONS = ["", "HEADER", "TEXT", "1", "1.MIME", "2", "2.MIME", "1.1", "1.1.MIME", "1.2", "2.1", "2.HEADER", "2.TEXT", "1.HEADER", "1.TEXT",
            "2.1.MIME", "2.1.1", "2.2", "2.2.HEADER", "3", "3.1", "9", "1.9", "HEADER.FIELDS (Subject to)", "HEADER.FIELDS.NOT (Subject Received)",
            "HEADER.FIELDS (X-None)", "2.HEADER.FIELDS (From)", "2.HEADER.FIELDS.NOT (From)"]
PARTIALS = ["[]<0.10>", "[]<5.100000>", "[TEXT]<3.7>", "[HEADER]<10.20>", "[1]<2.3>", "[]<999999.5>"]
SEARCHES = ["ALL", "SEEN", "UNSEEN", "NEW", "OLD", "RECENT", "FLAGGED UNANSWERED", "KEYWORD $Fwd", "UNKEYWORD $Fwd", "SUBJECT plain", "SUBJECT \"\"",
            "FROM anna", "TO example", "CC x", "BCC x", "HEADER X-Other \"\"", "HEADER X-Long word", "BODY hello", "TEXT anna", "BODY the", "TEXT nosuchword",
            "LARGER 1000", "SMALLER 500", "LARGER 0", "BEFORE 1-Feb-2020", "ON 17-Jul-2019", "SINCE 1-Jan-2019", "SENTBEFORE 3-Nov-2026", "SENTON 2-Nov-2026",
            "SENTSINCE 3-Nov-2026", "OR SEEN FLAGGED", "NOT SEEN", "1:3 UNSEEN", "UID 2:4", "UID 3:*", "*", "(OR SUBJECT plain SUBJECT dots) NOT 1", "NOT (SEEN FLAGGED)",
            "CHARSET UTF-8 BODY {5+}\r\nK\xc3\xb6ln",
            "CHARSET UTF-8 SUBJECT {5+}\r\nGr\xc3\xbc\xc3", "CHARSET ISO-8859-1 TEXT {2+}\r\n\xfc\xdf", "CHARSET UTF-8 FROM {2+}\r\n\xc3\xa9", "CHARSET UTF-8 TEXT {2+}\r\n\xc3\x9c",
            "DELETED", "UNDELETED DRAFT", "ANSWERED UNFLAGGED", "UNDRAFT 2:4", "NOT 2:4", "HEADER Content-Type multipart", "OR (FROM anna) (TO bob) LARGER 100", "UID 1,3:4,*",
            "BEFORE \"1-Jan-2100\"", "SINCE 1-Jan-1960", "NOT NOT SEEN", "(SEEN)", "((SEEN) (NOT (FLAGGED)))", "RETURN (MIN) UID 2:*", "RETURN (MAX) NOT ALL", "RETURN (COUNT MIN) UNSEEN",
            "SEEN UNKEYWORD $Fwd ANSWERED", "TEXT \"\"", "BODY \"\"", "()", "LARGER x", "OR SEEN", "", "RETURN (MIN MAX COUNT) ALL", "RETURN () SEEN", "RETURN (COUNT) KEYWORD none", "RETURN (ALL) 1:3",
            "BODY Gr", "SUBJECT \"encoded\"", "HEADER Message-ID plain", "1:* LARGER 200 SMALLER 600", "999", "FOO", "CHARSET X-UNKNOWN ALL"]


class Comparison:
    def __init__(self, ours, theirs, verbose):
        self.ours, self.theirs, self.verbose = ours, theirs, verbose
        self.asked = self.different = self.meant = 0

    def ask(self, label, command, view, compare_condition=True):
        a, b = self.ours.run(command), self.theirs.run(command)
        left, right = view(a[1]), view(b[1])
        self.asked += 1
        if left == right and (a[0] == b[0] or not compare_condition):
            return
        for name, pattern, _ in EXPECTED:
            if re.fullmatch(name, label) and re.search(pattern, command):
                self.meant += 1
                return
        self.different += 1
        print(f"DIFFERENT {label}: {command[:120]!r}\n  ours   {a[0]} {self.show(left)}\n  theirs {b[0]} {self.show(right)}")

    def show(self, value):
        text = repr(value)
        return text if self.verbose else text[:600]


def same_list(name):
    return f'"{name}"'


def compare(ours, theirs, verbose):
    c = Comparison(ours, theirs, verbose)
    corpus = list(mail_corpus.sound()) + list(mail_corpus.broken())
    corpus = [(name, data) for name, data in corpus if len(data) < 3_000_000 and b"\0" not in data]
    for client in (ours, theirs):
        client.run("DELETE compared")
        client.run("CREATE compared")
        for i, (name, data) in enumerate(corpus):
            flags = " ".join([f for f, on in [("\\Seen", i % 2), ("\\Flagged", i % 3 == 0), ("$Fwd", i % 5 == 0), ("\\Answered", i % 4 == 0)] if on])
            condition, _ = client.run(f'APPEND compared ({flags}) "1{i % 9}-Jul-2019 02:44:25 -0700" {{{len(data)}+}}', data)
            assert condition == "OK", (name, client.last)
        condition, _ = client.run("SELECT compared")
        assert condition == "OK"
    for i, (name, data) in enumerate(corpus):
        for item in ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "RFC822.HEADER"]:
            c.ask(name, f"FETCH {i + 1} {item}", fetched)
        for section in SECTIONS:
            c.ask(name, f"FETCH {i + 1} BODY.PEEK[{section}]", fetched)
        for partial in PARTIALS:
            c.ask(name, f"FETCH {i + 1} BODY.PEEK{partial}", fetched)
        for binary in ["BINARY.PEEK[1]", "BINARY.SIZE[1]", "BINARY.PEEK[2]", "BINARY.PEEK[1]<1.4>"]:
            c.ask(name, f"FETCH {i + 1} {binary}", fetched)
    for key in SEARCHES:
        c.ask("search", "SEARCH " + key, sorted_lines)
        c.ask("search", "UID SEARCH " + key, sorted_lines)
    for command in ["STORE 1:2 +FLAGS (\\Deleted)", "STORE 1 -FLAGS (\\Seen)", "STORE 3 FLAGS ($New \\Draft)", "STORE 4:5 +FLAGS.SILENT (\\Answered)", "FETCH 1:5 FLAGS",
                    "UID STORE 2 +FLAGS (\\Flagged)", "FETCH 6 BODY[]", "FETCH 6 FLAGS", "UID EXPUNGE 2", "EXPUNGE", "FETCH 1 (UID)", "STORE 999 FLAGS (\\Seen)",
                    "UID STORE 9999 FLAGS (\\Seen)", "UID FETCH 9999 FLAGS", "FETCH 1:* (UID)", "NOOP", "CHECK", "FETCH 0 FLAGS", "FETCH 1", "STORE 1 FLAGS (\\Bogus)",
                    "COPY 1:2 nowhere"]:
        c.ask("change", command, change_lines)
    for client in (ours, theirs):
        client.run("UNSELECT")
        for name in ["tree/a/b", "tree/c", "&AOk-t&AOk-", "tree/a b", "sub/x/y"]:
            client.run(f'CREATE "{name}"')
        for name in ["tree/c", "sub/x/y", "gone"]:
            client.run(f'SUBSCRIBE "{name}"')
        client.run('SUBSCRIBE "tree/a/b"')
    for command in ['LIST "" "tree*"', 'LIST "" "tree/%"', 'LIST "tree/" "%"', 'LIST "" "tree"', 'LIST "" ""', 'LIST "" "&AOk*"', 'LIST "" "sub*"', 'LIST "" "inbox"',
                    'LSUB "" "tree/*"', 'LSUB "" "tree/%"', 'LSUB "" "sub/%"', 'LIST (SUBSCRIBED) "" "tree*"', 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "sub"',
                    'LIST "" ("tree/c" "sub/%")', 'LIST "" "tree/c" RETURN (SUBSCRIBED CHILDREN)', 'LIST "" "tree/c" RETURN (STATUS (MESSAGES UNSEEN))',
                    "STATUS tree/c (MESSAGES UNSEEN SIZE)", "STATUS nowhere (MESSAGES)", "STATUS compared (MESSAGES UNSEEN UIDNEXT SIZE DELETED)", "CREATE tree/c", "CREATE INBOX",
                    "DELETE nowhere", "DELETE INBOX", "RENAME nowhere other", "RENAME tree/c tree/d", 'LIST "" "tree/*"', "RENAME tree wood", 'LIST "" "wood*"', 'LIST "" "tree*"',
                    "RENAME compared wood/d", "DELETE wood/a", 'LIST "" "wood*"', "DELETE wood/a/b", "EXAMINE nowhere", "SELECT \"\"", "SUBSCRIBE gone", "UNSUBSCRIBE gone", "NAMESPACE"]:
        c.ask("tree", command, sorted_lines)
    return c


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--dovecot-port", type=int, default=24100)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="merpati-dovecot-"))
    folder.chmod(0o755)
    for name in ["run", "state", "mail"]:
        (folder / name).mkdir()
    shutil.chown(folder / "mail", "mail", "mail")
    (folder / "dovecot.conf").write_text(CONF.format(d=folder, port=arguments.dovecot_port))
    subprocess.run(["dovecot", "-c", folder / "dovecot.conf"], check=True)
    try:
        theirs = Client(arguments.dovecot_port, "u1", "secret")
        ours = Client(arguments.port, arguments.user, arguments.password)
        result = compare(ours, theirs, arguments.verbose)
    finally:
        subprocess.run(["dovecot", "-c", folder / "dovecot.conf", "stop"], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{result.asked} questions, {result.different} answered otherwise, {result.meant} otherwise on purpose")
    sys.exit(1 if result.different else 0)


main()
