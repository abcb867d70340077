"""A running Merpati for tests: `./dev up --detach` in a directory of its own, or whatever MERPATI_TARGET_ENV points to.

Everything a client needs comes from <state>/target.env, as it does for people.
"""
import os
import pathlib
import random
import re
import shlex
import shutil
import socket
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Edges; then gRPC and HTTP of the processes of ./dev up --services.
BASE_PORTS = [2525, 2587, 2465, 2143, 2993, 2110, 2995, 4190, *range(50051, 50062), *range(9090, 9101)]

# How the first line of a sanitizer's report looks, in the log of a program of the presets asan and tsan.
SANITIZER_REPORT = re.compile(r"^(==\d+==ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|\S+:\d+:\d+: runtime error:)")


def read_env(path):
    """The shell variables of a target.env as a dict."""
    values = {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        line = line.strip().removeprefix("export ")
        if not line or line.startswith("#") or "=" not in line:
            continue
        name, value = line.split("=", 1)
        values[name] = "".join(shlex.split(value))
    return values


def free_offset():
    """A port offset at which every port of the table is free now."""
    # 50051 and what follows lies in the range of ports that the kernel gives to clients: go beyond it, or somebody's
    # connection may sit on a port that was free a moment ago, also while a killed process is away.
    last_client_port = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[1])
    first = max(3000, last_client_port - 50051 + 1)
    for _ in range(200):
        offset = random.randrange(first, 15000, 20) if first < 14900 else random.randrange(3000, 15000, 20)
        if all(is_free(port + offset) for port in BASE_PORTS):
            return offset
    raise RuntimeError("no free ports")


def free_ports(count):
    """For servers that may be killed and started again; below those of clients."""
    return [port for port in random.sample(range(26000, 32000), 100 + 2 * count) if is_free(port)][:count]


def free_block(count):
    """The first of `count` ports in a row; none of them is one of free_ports()."""
    return next(first for first in random.sample(range(22000, 26000 - count), 200)
                if all(is_free(first + number) for number in range(count)))


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def sanitizer_reports(folder, lines=60):
    """The beginning of every report in the logs of a folder: a program that goes on after one must not pass unseen."""
    reports = []
    for log in sorted(pathlib.Path(folder).glob("*.log")):
        rest = log.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(rest):
            if SANITIZER_REPORT.match(line):
                reports.append(f"{log.name}:{number + 1}:\n" + "\n".join(rest[number:number + lines]))
    return reports


class Target:
    """Where to connect, and as whom."""

    def __init__(self, env, used=None, accounts=None):
        self.env = env
        self.host = env.get("HOST", "127.0.0.1")
        self.domain = env.get("DOMAIN", "example.test")
        self.password = env["PASS"]
        self.ca_file = env.get("CA_FILE", "")
        self.template = env.get("USER_TEMPLATE", "u%d@" + self.domain)
        self._accounts = accounts  # how many there are, where that is known
        self._used = used  # remembers over runs which accounts of a server that stays up were used
        self._next = int(used.read_text()) if used and used.exists() else 0

    def port(self, name):
        return int(self.env[name + "_PORT"])

    def address(self, name):
        """Host and port of SMTP, SUBMISSION, IMAPS and so on."""
        return self.host, self.port(name)

    def account(self):
        """An address that no other test of this run uses."""
        self._next += 1
        if self._accounts and self._next > self._accounts:
            raise RuntimeError(f"the tests want more than {self._accounts} accounts: raise Instance(accounts=...)")
        if self._used:
            self._used.write_text(str(self._next))
        return self.template % self._next


class Instance:
    """`with Instance(services=True) as instance:` brings one up and takes it down."""

    def __init__(self, services=False, accounts=300, state=None, environment=None, arguments=()):
        self.services, self.accounts = services, accounts
        self.own_state = state is None
        self.adopted = os.environ.get("MERPATI_TARGET_ENV")
        self.state = None
        if not self.adopted:
            self.state = pathlib.Path(state or tempfile.mkdtemp(prefix="merpati-e2e-", dir="/var/tmp"))
        self.environment = dict(os.environ, **(environment or {}))
        self.arguments = list(arguments)
        if os.environ.get("MERPATI_PRESET") and "--no-build" not in self.arguments:
            self.arguments.append("--no-build")  # ./dev test has built it
        self.offset = None
        self.target = None

    def dev(self, *arguments, timeout=900, check=True):
        done = subprocess.run([str(ROOT / "dev"), *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"./dev {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
        return done

    def up(self):
        if self.adopted:
            self.target = Target(read_env(self.adopted), pathlib.Path(self.adopted + ".used"))
            return self
        if self.offset is None:
            self.offset = free_offset()
        self.state.chmod(0o755)
        self.dev("up", "--detach", "--state", str(self.state), "--port-offset", str(self.offset), "--accounts",
                 str(self.accounts), *(["--services"] if self.services else []), *self.arguments)
        self.target = Target(read_env(self.state / "target.env"), accounts=self.accounts)
        return self

    def down(self):
        if not self.adopted:
            self.dev("down", "--state", str(self.state), check=False, timeout=120)

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(self, *_):
        self.down()
        reports = [] if self.adopted else sanitizer_reports(self.state / "logs")
        for report in reports[:10]:
            print("SANITIZER " + report, flush=True)
        if self.own_state and not self.adopted and not os.environ.get("MERPATI_KEEP_STATE"):
            shutil.rmtree(self.state, ignore_errors=True)
        if reports:
            raise RuntimeError(f"{len(reports)} reports of a sanitizer in the logs of the instance")
