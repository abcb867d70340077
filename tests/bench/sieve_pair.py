#!/usr/bin/env python3
"""Thirty Sieve rules over 10,000 messages: bench_sieve beside Pigeonhole's sieve-filter, in one run, with equal results.

    sieve_pair.py [--bench build/release/bench/bench_sieve] [--messages 10000] [--rounds 3]

Both read the same files from a warm page cache. sieve-filter only says what it would do in the measured rounds (its
execution moves every file, which is more work and told apart); once it executes, and where its files and flags are then
is compared with what bench_sieve says, message by message.
"""
import argparse
import collections
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]
import not_run  # noqa: E402

SCRIPT = HERE / "thirty_rules.sieve"
CONF = """
log_path = {d}/log
base_dir = {d}/run
mail_home = {d}/home
mail_location = maildir:{maildir}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
protocols =
ssl = no
mail_fsync = never
postmaster_address = postmaster@example.test
"""
FLAGS = {"F": "\\Flagged", "S": "\\Seen", "R": "\\Answered", "T": "\\Deleted", "D": "\\Draft"}
WORDS = ("time people work year way day man thing woman life child world school state family student group country "
         "problem hand part place case week company system program question government number night point home water "
         "room mother area money story fact month lot right study book eye job word business issue side kind head").split()


def message(rng):
    """About one in three messages meets a rule; the others run through all thirty."""
    def some(count):
        return " ".join(rng.choice(WORDS) for _ in range(count))

    fields, subject, sender, to, body = [], some(5), f"{rng.choice(WORDS)}@{rng.choice(WORDS)}.example", "me@example.test", ""
    kind = rng.randrange(90)
    if kind < 8:
        fields.append("List-Id: A list <%s>" % rng.choice(["dev.lists.example.org", "users.lists.example.org", "Talk.lists.example.net"]))
    elif kind == 8:
        fields.append("Precedence: bulk")
    elif kind == 9:
        sender = "orders@shop.example"
    elif kind == 10:
        sender = "boss@example.test"
    elif kind == 11:
        sender = "no-reply@service.example"
    elif kind == 12:
        to = rng.choice(["me+shopping@example.test", "me+news@example.test"])
    elif kind < 19:
        subject = rng.choice(["Your invoice", "[build] failed", "Re: [Bug 1234] crash", "Ticket #12345 opened", "Out of office: me",
                              "the report", "weekly digest", "meeting again tomorrow", "urgent matter"])
    elif kind == 19:
        fields += ["X-Spam-Flag: YES", "X-Spam-Score: 7"]
    elif kind == 20:
        fields.append("X-Score: %d" % rng.randrange(100))
    elif kind == 21:
        fields += ["Received: from a%d by b; Mon, 24 Nov 2025 10:00:00 +0000" % hop for hop in range(7)]
    elif kind == 22:
        body = (some(12) + "\r\n") * 1000
    elif kind == 23:
        to = ", ".join(f"{rng.choice(WORDS)}{i}@example.test" for i in range(8))
    elif kind == 24:
        fields.append("Auto-Submitted: auto-replied")
    elif kind == 25:
        body = "To leave, unsubscribe here\r\n"
    elif kind == 26:
        body = "You won the lottery\r\n"
    elif kind == 27:
        fields.append("X-Mailer: Bulkblaster 3")
    lines = ["Received: from relay.example by mx.example.test; Mon, 24 Nov 2025 10:00:%02d +0000" % rng.randrange(60),
             f"From: Somebody <{sender}>", f"To: {to}", f"Subject: {subject}",
             "Date: Mon, 24 Nov %d 09:59:00 +0000" % (2012 if rng.randrange(60) == 0 else 2025),
             f"Message-ID: <{rng.getrandbits(64):x}@mail.example>", "MIME-Version: 1.0", *fields]
    text = body + "".join(some(10) + "\r\n" for _ in range(rng.randrange(10, 80)))
    if rng.random() < 0.4:
        lines.append('Content-Type: multipart/alternative; boundary="b%x"' % rng.getrandbits(48))
        boundary = lines[-1].split('"')[1]
        text = (f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}--{boundary}\r\n"
                f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                f"<p>{text.replace('=', '=3D')}</p>\r\n--{boundary}--\r\n")
    else:
        lines.append("Content-Type: text/plain; charset=utf-8")
    return "\r\n".join(lines) + "\r\n\r\n" + text


def make_maildir(folder, count):
    rng = random.Random(1)
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        (folder / "cur" / f"{1_700_000_000 + number}.M{number}.bench:2,").write_bytes(message(rng).encode())


def found_after(maildir):
    """message -> "mailbox flags", as bench_sieve writes them, from a maildir that sieve-filter has worked on."""
    keywords = {}
    for folder in [maildir, *maildir.glob(".*/")]:
        listed = folder / "dovecot-keywords"
        if listed.exists():
            keywords[folder] = {chr(97 + int(number)): name for number, name in
                                (line.split(" ", 1) for line in listed.read_text().splitlines())}
    out = collections.defaultdict(list)
    for folder in [maildir, *maildir.glob(".*/")]:
        name = "INBOX" if folder == maildir else folder.name[1:]
        for file in [*(folder / "cur").glob("*"), *(folder / "new").glob("*")]:
            letters = file.name.rsplit(":2,", 1)[1] if ":2," in file.name else ""
            flags = sorted(FLAGS.get(letter) or keywords[folder][letter] for letter in letters)
            first = file.read_bytes().split(b"Message-ID: <", 1)[1].split(b">", 1)[0].decode()
            out[first].append(" ".join([name, *flags]))
    return {key: ", ".join(sorted(copies)) for key, copies in out.items()}


class Pigeonhole:
    def __init__(self, work, source):
        self.work, self.maildir = work, work / "Maildir"
        shutil.copytree(source, self.maildir)
        for mailbox in {*re.findall(r'fileinto "([^"$]+)"', SCRIPT.read_text()), "lists.talk"}:
            for name in ("cur", "new", "tmp"):
                (self.maildir / f".{mailbox}" / name).mkdir(parents=True)
        self.conf = work / "dovecot.conf"
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())  # it refuses root's mail
        self.conf.write_text(CONF.format(d=work, maildir=self.maildir, uid=user.pw_uid, gid=user.pw_gid))
        shutil.copy(SCRIPT, work / "rules.sieve")
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", str(work)], check=True)

    def run(self, *options):
        began = time.monotonic()
        done = subprocess.run(["sieve-filter", "-c", str(self.conf), *options, str(self.work / "rules.sieve"), "INBOX"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ, USER="root"))
        if done.returncode != 0:
            log = self.work / "log"
            raise SystemExit(f"sieve-filter: {done.stderr.decode()[-2000:]}\n{log.read_text()[-2000:] if log.exists() else ''}")
        return time.monotonic() - began

    def forget(self):
        """The indexes, so that it parses the messages again."""
        for file in self.maildir.glob("dovecot*"):
            file.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=str(HERE.parent.parent / "build/release/bench/bench_sieve"))
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not shutil.which("sieve-filter"):
        print("NOT RUN sieve-filter: install dovecot-sieve")
        sys.exit(not_run.EXIT_STATUS)
    with tempfile.TemporaryDirectory(prefix="merpati-sieve-bench-") as name:
        work = pathlib.Path(name)
        source = work / "source"
        make_maildir(source, options.messages)
        peer = Pigeonhole(work, source)
        actions = work / "actions"
        ours, cold, warm = [], [], []
        for _ in range(options.rounds):
            answer = subprocess.run([options.bench, "--script", str(SCRIPT), "--mail", str(source / "cur"), "--actions", str(actions)],
                                    check=True, stdout=subprocess.PIPE).stdout
            ours.append(json.loads(answer)["seconds"])
            peer.forget()
            cold.append(peer.run())
            warm.append(peer.run())
        peer.forget()
        executed = peer.run("-e", "-W")
        ids = {file.name: file.read_bytes().split(b"Message-ID: <", 1)[1].split(b">", 1)[0].decode() for file in (source / "cur").glob("*")}
        wanted = {ids[name]: what for name, what in (line.split("\t") for line in actions.read_text().splitlines())}
        found = found_after(peer.maildir)
        different = [key for key in ids.values() if wanted.get(key) != found.get(key)]
        filed = sum(what != "INBOX" for what in wanted.values())

    def rate(times):
        return options.messages / sorted(times)[len(times) // 2]

    print(f"{options.messages} messages, 30 rules, {filed} filed or flagged, medians of {options.rounds} rounds")
    print("| | messages/s | of sieve-filter, cold |\n| --- | ---: | ---: |")
    for what, value in (("bench_sieve", rate(ours)), ("sieve-filter, cold indexes", rate(cold)), ("sieve-filter, warm indexes", rate(warm)),
                        ("sieve-filter, executing", options.messages / executed)):
        print(f"| {what} | {value:,.0f} | {value / rate(cold):.1f} |")
    for key in different[:10]:
        print(f"DIFFERENT {key}: ours {wanted.get(key)!r}, theirs {found.get(key)!r}")
    print(f"{len(ids) - len(different)} of {len(ids)} messages come to the same")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
