#!/usr/bin/env python3
"""Measures Merpati beside Debian's Postfix with Dovecot, one after the other in one run, and prints a table in markdown.

  run.py [--servers pair,allinone,engines,services] [--rows deliver10,list,...] [--state DIR] [--out FILE] [--quick]

One server runs at a time. The load generators are the same programs for all (bench_smtp, bench_imap). fsync is on in all of
them; its calls are counted while mail is delivered.
"""
import argparse, base64, contextlib, json, os, pathlib, platform, re, shutil, signal, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import dns_server
import imap_answers
import pair

BIG_USER, BIG_BOX = 900, "bench"     # the mailbox of 10,000 messages
FEW_CALLS = 40


def run(command, **kwargs):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()[-800:]}")
    return done.stdout


def drop_caches():
    with contextlib.suppress(OSError):
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


def pss_kib(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            match = re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(match[1]) if match else 0
    return total


class Pair:
    name, title, key = "pair", "Postfix + Dovecot", None

    def __init__(self, state, options):
        self.state, self.options = state / "pair", options

    def start(self):
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        pair.start(self.state, self.options.port_base, 1000, self.options.format)

    def restart(self):
        pair.stop_dovecot(self.state)
        drop_caches()
        pair.start_dovecot(self.state)
        pair.wait_for_port(pair.ports(self.options.port_base)["IMAP_PORT"])

    def stop(self):
        pair.stop(self.state)

    def target(self):
        return self.state / "target.env"

    def processes(self):
        return pair.processes(self.state)


class Ours:
    def __init__(self, name, title, flags, state, options):
        self.name, self.title, self.flags, self.options = name, title, flags, options
        self.asked = state / name
        self.environment, self.key = {}, None

    def dev(self, *arguments):
        return run([ROOT / "dev", *arguments, "--state", self.asked], timeout=1800, env={**os.environ, **self.environment, "MERPATI_PRESET": self.options.preset})

    def up(self):
        extra = ["--no-build"] if self.options.no_build else []
        self.dev("up", "--detach", "--accounts", "1000", "--port-offset", str(self.options.port_offset), *self.flags, *extra)
        self.state = self.find_state()

    def find_state(self):
        if (self.asked / "target.env").exists():
            return self.asked
        import hashlib
        moved = hashlib.sha256(str(self.asked).encode()).hexdigest()[:12]
        return pathlib.Path(f"/var/lib/merpati-dev/{self.asked.parent.name}-{moved}")

    def start(self):
        shutil.rmtree(self.asked, ignore_errors=True)
        self.up()

    def restart(self):
        self.dev("down")
        drop_caches()
        self.up()

    def stop(self):
        self.dev("down")

    def target(self):
        return self.state / "target.env"

    def processes(self):
        roots = [int(f.read_text().split()[0]) for f in (self.state / "run").glob("*.pid")]
        postgres = self.state / "postgres/data/postmaster.pid"
        if postgres.exists():
            roots.append(int(postgres.read_text().split()[0]))
        return pair.descendants(roots)


class Engines(Ours):
    """All-in-one with every engine of the filter itself on. The mail is signed (RSA of 2048 bits) and passes SPF and DMARC;
    what must be learnt first (Bayes) is told its minimum."""

    LEARNT = 20

    def start(self):
        shutil.rmtree(self.asked, ignore_errors=True)
        self.asked.mkdir(parents=True)
        self.key = self.options.state / "engines-dkim.pem"
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", str(self.key), "2048"], check=True, capture_output=True)
        public = subprocess.run(["openssl", "rsa", "-in", str(self.key), "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        texts = {"example.org": "v=spf1 ip4:127.0.0.0/8 ip6:::1 -all", "_dmarc.example.org": "v=DMARC1; p=reject",
                 "bench._domainkey.example.org": "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()}
        port = self.options.port_base + 90
        self.dns = dns_server.DnsServer(port, texts=texts, ttl=3600)
        settings = {"DNS_SERVERS": f'["127.0.0.1@{port}"]', "MAIL_AUTHENTICATION__OWN_NETWORKS": '["none"]', "GREYLIST__ENABLED": "true",
                    "REPUTATION__ENABLED": "true", "BAYES__MIN_LEARNT": str(self.LEARNT)}
        self.environment = {f"MERPATI_FILTER__{key}": value for key, value in settings.items()}
        self.up()
        for kind in ("spam", "ham"):
            examples = "".join(f"From a@b Thu Nov  5 10:00:00 2026\nSubject: {kind} {number}\n\nThe words of {kind}: sender charset plain text {number}\n\n"
                               for number in range(self.LEARNT))
            box = self.options.state / f"engines-{kind}.mbox"
            box.write_text(examples)
            self.ctl("filter", "learn", "--global", kind, box)

    def ctl(self, *arguments):
        run([ROOT / "dev", "ctl", "--state", self.asked, *arguments], env={**os.environ, "MERPATI_PRESET": self.options.preset})

    def stop(self):
        super().stop()
        self.dns.stop()


class FsyncCount:
    """Counts the fsync and fdatasync calls of processes and of their later children, where perf may."""

    def __init__(self, pids):
        self.process = None
        if shutil.which("perf"):
            events = "syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync"
            self.process = subprocess.Popen(["perf", "stat", "-x,", "-e", events, "-p", ",".join(map(str, pids))], stderr=subprocess.PIPE, text=True)
            time.sleep(0.5)

    def stop(self):
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGINT)
        text = self.process.communicate()[1]
        counts = re.findall(r"^(\d+),", text, re.M)
        return sum(map(int, counts)) if counts else None


def cpu_seconds(pids):
    """Processor time of processes and of the children they have waited for."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(int(f) for f in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, server, options):
        self.server, self.options, self.results = server, options, {}
        self.bin = ROOT / "build" / options.bench_build / "bench"

    def imap(self, test, **named):
        return self.measured(self.command("bench_imap", test=test, **named))

    def smtp(self, **named):
        return self.measured(self.command("bench_smtp", **named))

    def measured(self, command):
        before = cpu_seconds(self.server.processes())
        result = json.loads(run(command, timeout=900).splitlines()[-1])
        # Of the server alone. On a machine that others use too, this compares better than the time on the wall.
        result["cpu_seconds"] = cpu_seconds(self.server.processes()) - before
        done = sum(r["count"] for r in result["rounds"]) if "rounds" in result else result.get("count", result.get("messages"))
        result["cpu_us"] = 1e6 * result["cpu_seconds"] / done if done else None
        return result

    def command(self, program, **named):
        command = [self.bin / program, "--target", self.server.target()]
        for key, value in named.items():
            flag = "--" + key.replace("_", "-")
            command += [flag] if value is True else [flag, str(value)]
        return command

    # --- rows: each sets results[row] = {"value": number, ...}
    def deliver(self, row, mailboxes):
        seconds = 4 if self.options.quick else 12
        signed = {"sign_key": self.server.key} if self.server.key else {}
        warm = self.smtp(messages=max(400, mailboxes), mailboxes=mailboxes, seed=int(time.time() * 1000) % 10**9, connections=40, **signed)
        count = int(max(400, warm["visible_per_second"] * seconds))
        fsyncs = FsyncCount(self.server.processes())
        result = self.smtp(messages=count, mailboxes=mailboxes, seed=int(time.time() * 1000) % 10**9 + 1, connections=40, **signed)
        result["fsyncs"] = fsyncs.stop()
        self.results[row] = {"value": result["visible_per_second"], **result}

    def fill(self):
        count = self.big
        result = self.imap("append", user=BIG_USER, mailbox=BIG_BOX, count=count, window=50)
        self.results["append"] = {"value": result["per_second"], **result}
        other = self.imap("append", user=BIG_USER - 1, mailbox=BIG_BOX, count=min(count, 4000), window=10, connections=FEW_CALLS, seed=8)
        self.results["append40"] = {"value": other["per_second"], **other}

    @property
    def big(self):
        return 2000 if self.options.quick else 10000

    def dump(self):
        return self.options.state / f"answers-{self.server.name}"

    def listing(self, row, **extra):
        result = self.imap("list", user=BIG_USER, mailbox=BIG_BOX, **extra)
        self.results[row] = {"value": result["per_second"], **result}
        return result

    def cold(self):
        self.server.restart()
        result = self.imap("list", user=BIG_USER, mailbox=BIG_BOX, repeat=1, dump=self.dump())
        self.results["list_cold"] = {"value": result["first_per_second"], **result}

    def reading(self, suffix=""):
        self.listing("list" + suffix, repeat=5)
        flags = self.imap("flags", user=BIG_USER, mailbox=BIG_BOX, repeat=5)
        self.results["flags" + suffix] = {"value": flags["per_second"], **flags}
        for row, connections in [("fetch", 1), ("fetch40", FEW_CALLS)]:
            r = self.imap("fetch", user=BIG_USER, mailbox=BIG_BOX, count=8000, size=self.big, connections=connections)
            self.results[row + suffix] = {"value": r["per_second"], **r}
        for row, connections in [("status", 1), ("status40", FEW_CALLS)]:
            r = self.imap("status", user=BIG_USER, mailbox=BIG_BOX, count=30000, window=50, connections=connections)
            self.results[row + suffix] = {"value": r["per_second"], **r}
        bodies = self.imap("bodies", user=BIG_USER, mailbox=BIG_BOX, repeat=3)
        self.results["bodies" + suffix] = {"value": bodies["per_second"], **bodies}

    def under_load(self):
        load = subprocess.Popen(self.command("bench_smtp", messages=10**7, mailboxes=10, rate=100, no_visible=True, seed=99), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            self.reading("_loaded")
        finally:
            load.terminate()
            load.wait()

    def logins(self):
        self.server.restart()
        for row in ["login_cold", "login_warm"]:
            r = self.imap("login", connections=40, count=1000, users=1000)
            self.results[row] = {"value": r["per_second"], **r}

    def idle(self):
        sessions = 100 if self.options.quick else 400
        self.server.restart()  # else what earlier rows left in the allocators is lent to the sessions, and they seem free
        self.imap("list", user=BIG_USER, mailbox=BIG_BOX, repeat=2)
        before = pss_kib(self.server.processes())
        holder = subprocess.Popen(list(map(str, self.command("bench_imap", test="idle", tls=True, user=BIG_USER, mailbox=BIG_BOX, connections=sessions))),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if holder.stdout.readline().strip() != "ready":
                raise RuntimeError("the idle sessions could not be opened")
            time.sleep(1)
            after = pss_kib(self.server.processes())
        finally:
            holder.stdin.close()
            holder.wait()
        self.results["idle"] = {"value": (after - before) / sessions, "before_kib": before, "after_kib": after, "sessions": sessions}

    def everything(self):
        steps = [("deliver10", lambda: self.deliver("deliver10", 10)), ("deliver1000", lambda: self.deliver("deliver1000", 1000)), ("imap", self.fill),
                 ("imap", self.cold), ("imap", self.reading), ("loaded", self.under_load), ("idle", self.idle), ("login", self.logins)]
        for group, step in steps:
            if self.options.rows and group not in self.options.rows or self.server.name == "engines" and not group.startswith("deliver"):
                continue
            started = time.time()
            try:
                step()
            except Exception as failure:  # a row that fails must not hide the others
                self.results.setdefault("failures", []).append(f"{group}: {failure}")
                print(f"{self.server.name} {group}: {failure}", file=sys.stderr)
            print(f"  {self.server.name} {group}: {time.time() - started:.0f} s", file=sys.stderr)


# row, text, unit, goal as a ratio to the pair (higher is better, unless it is memory)
ROWS = [
    ("deliver10", "SMTP to visible in IMAP, 10 mailboxes", "messages/s", 10),
    ("deliver1000", "SMTP to visible in IMAP, 1,000 mailboxes", "messages/s", 10),
    ("append", "APPEND, 1 connection, pipelined", "messages/s", 0.5),
    ("append40", "APPEND, 40 connections, pipelined", "messages/s", 0.5),
    ("list_cold", "list 10,000, cold after a restart", "messages/s", 0.5),
    ("list", "list 10,000, warm", "messages/s", 0.5),
    ("flags", "flags of 10,000, warm", "messages/s", 0.5),
    ("fetch", "single full bodies, 1 connection", "messages/s", 0.5),
    ("fetch40", "single full bodies, 40 connections", "messages/s", 0.5),
    ("status", "STATUS, 1 connection, pipelined", "commands/s", 0.5),
    ("status40", "STATUS, 40 connections, pipelined", "commands/s", 0.5),
    ("bodies", "all bodies in one FETCH", "MB/s", 0.5),
    ("list_loaded", "list 10,000 while 100 deliveries/s arrive", "messages/s", 0.5),
    ("flags_loaded", "flags of 10,000 while 100 deliveries/s arrive", "messages/s", 0.5),
    ("fetch_loaded", "single full bodies, 1 connection, while 100 deliveries/s arrive", "messages/s", 0.5),
    ("fetch40_loaded", "single full bodies, 40 connections, while 100 deliveries/s arrive", "messages/s", 0.5),
    ("status_loaded", "STATUS, 1 connection, while 100 deliveries/s arrive", "commands/s", 0.5),
    ("status40_loaded", "STATUS, 40 connections, while 100 deliveries/s arrive", "commands/s", 0.5),
    ("bodies_loaded", "all bodies in one FETCH while 100 deliveries/s arrive", "MB/s", 0.5),
    ("login_cold", "logins, 1,000 accounts, cold credentials", "logins/s", None),
    ("login_warm", "logins, 1,000 accounts, warm credentials", "logins/s", None),
    ("idle", "memory of an idle TLS session on 10,000 messages", "KiB", None),
]


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def table(results):
    names = [n for n in ["pair", "allinone", "services"] if n in results]
    titles = {"pair": Pair.title, "allinone": "ours, all-in-one", "services": "ours, --services"}
    head, rule = "| row | unit |", "| --- | --- |"
    for name in names:
        head += f" {titles[name]} |" + (" ratio |" if name != "pair" and "pair" in names else "")
        rule += " ---: |" + (" ---: |" if name != "pair" and "pair" in names else "")
    lines = [head + " goal |", rule + " --- |"]
    for row, text, unit, goal in ROWS:
        if not any(row in results[n] for n in names):
            continue
        cells = f"| {text} | {unit} |"
        base = results.get("pair", {}).get(row, {}).get("value")
        for name in names:
            value = results[name].get(row, {}).get("value")
            cells += f" {number(value)} |"
            if name != "pair" and "pair" in names:
                cells += f" {value / base:.2f} |" if value is not None and base else " - |"
        said = f"{goal:g} times" if goal else {"login_warm": "500 logins/s"}.get(row, "")
        lines.append(cells + f" {said} |")
    return "\n".join(lines)


def cpu_table(results):
    """Processor time of the server for one operation (one MB where bodies are read), all of its processes together."""
    names = [n for n in ["pair", "allinone", "services"] if n in results]
    lines = ["| processor time of the server, microseconds an operation | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for row, text, _, _ in ROWS:
        if any(results[n].get(row, {}).get("cpu_us") for n in names):
            lines.append(f"| {text} | " + " | ".join(number(results[n].get(row, {}).get("cpu_us")) for n in names) + " |")
    return "\n".join(lines)


def notes(results, state):
    lines = []
    for name in results:
        for row in ["deliver10", "deliver1000"]:
            r = results[name].get(row)
            if r and r.get("fsyncs") is not None:
                lines.append(f"- {name} {row}: {r['messages']} messages, {r['fsyncs']} fsync and fdatasync calls ({r['fsyncs'] / r['messages']:.2f} a message); "
                             f"accepted {r['accepted_per_second']:,.0f} a second; a transaction took {r['latency_ms']['p50']:.1f} ms (median), {r['latency_ms']['p99']:.1f} ms (99 %)")
            without = results.get("allinone", {}).get(row)
            if name == "engines" and r and without:
                lines.append(f"- {row} with every built-in engine on: {r['value']:,.0f} messages a second, {r['value'] / without['value']:.2f} of all-in-one "
                             f"without them; {r['cpu_us']:,.0f} microseconds of processor a message, {without['cpu_us']:,.0f} without")
        for failure in results[name].get("failures", []):
            lines.append(f"- {name} FAILED {failure}")
    for name in ["allinone", "services"]:
        ours, theirs = state / f"answers-{name}", state / "answers-pair"
        if name in results and ours.exists() and theirs.exists():
            total, equal, differing = imap_answers.compare(ours, theirs)
            lines.append(f"- list answers of {name} compared with Dovecot's: {equal} of {total} messages equal")
            lines += [f"  - {attribute} differs in {count}; {example[:400]}" for attribute, (count, example) in differing.items()]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", default="pair,allinone,engines,services", help="engines: all-in-one with every built-in engine of the filter on")
    parser.add_argument("--rows", default="", help="deliver10,deliver1000,imap,loaded,idle,login; default all")
    parser.add_argument("--state", type=pathlib.Path, default=pathlib.Path("/var/tmp/merpati-bench"))
    parser.add_argument("--out", type=pathlib.Path, help="also write the table there")
    parser.add_argument("--json", type=pathlib.Path, help="also write every number there; servers measured earlier are kept")
    parser.add_argument("--preset", default="release")
    parser.add_argument("--bench-build", default="release", help="the build that has bench_smtp and bench_imap")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--format", default="sdbox", choices=["maildir", "sdbox", "mdbox"], help="Dovecot's mailbox format")
    parser.add_argument("--port-base", type=int, default=28100, help="of the pair")
    parser.add_argument("--port-offset", type=int, default=13000, help="of ours")
    parser.add_argument("--quick", action="store_true", help="small counts, to see that it works")
    options = parser.parse_args()
    options.state = options.state.resolve()
    options.state.mkdir(parents=True, exist_ok=True)
    options.state.chmod(0o755)
    options.rows = [r for r in options.rows.split(",") if r]
    servers = {"pair": lambda: Pair(options.state, options),
               "allinone": lambda: Ours("allinone", "ours, all-in-one", [], options.state, options),
               "engines": lambda: Engines("engines", "ours, all engines", [], options.state, options),
               "services": lambda: Ours("services", "ours, --services", ["--services"], options.state, options)}
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    for name in options.servers.split(","):
        if name == "pair" and not (shutil.which("postfix") and shutil.which("dovecot") and os.geteuid() == 0):
            print("NOT RUN pair: needs Debian's postfix and dovecot packages, and root", file=sys.stderr)
            continue
        server = servers[name]()
        print(f"{name}: starting", file=sys.stderr)
        try:
            server.start()
            bench = Bench(server, options)
            bench.everything()
            results[name] = {**results.get(name, {}), **bench.results}
        finally:
            server.stop()
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    text = f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; 40 connections, 4 KB messages, fsync on, filter on; load average {os.getloadavg()[0]:.1f} at the end.\n\n{table(results)}\n\n{cpu_table(results)}\n\n{notes(results, options.state)}\n"
    print(text)
    if options.out:
        options.out.write_text(text)
    return 1 if any(r.get("failures") for r in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
