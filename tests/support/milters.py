"""Milters that tests start, kill and stop: Debian's opendkim, and a program of python3-milter that follows rules."""
import json
import pathlib
import signal
import subprocess
import sys
import time

from instance import free_ports
from processes import PATIENCE
from scanners import Scanner

HERE = pathlib.Path(__file__).resolve().parent


class RuleMilter(Scanner):
    """tests/support/rule_milter.py; `over`: "unix" or "inet"."""

    def __init__(self, folder, over="inet"):
        self.over = over
        super().__init__(folder)

    def configure(self):
        self.log = self.folder / "log"
        self.socket = f"unix:{self.folder}/socket" if self.over == "unix" else f"inet:{self.port}@127.0.0.1"
        self.command = [sys.executable, str(HERE / "rule_milter.py"), self.socket, str(self.log)]

    @property
    def address(self):
        return self.socket

    def start(self, seconds=60):
        if self.over == "inet":
            return super().start(seconds)
        path = self.folder / "socket"
        path.unlink(missing_ok=True)
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output, cwd=self.folder, start_new_session=True)
        give_up = time.monotonic() + seconds * PATIENCE
        while not path.is_socket():
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"the milter does not start; see {self.folder}")
            time.sleep(0.05)
        path.chmod(0o777)

    def stages(self):
        """Lists of what it was told, in order: [connection, stage, ...]."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def told(self, stage):
        return [entry[2:] for entry in self.stages() if entry[1] == stage]

    def wait_told(self, stage, count=1):
        give_up = time.monotonic() + 30 * PATIENCE
        while len(self.told(stage)) < count and time.monotonic() < give_up:
            time.sleep(0.02)
        return self.told(stage)

    def revive(self):
        """After it has died."""
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait()
        self.start()


class OpenDkim(Scanner):
    """Signs what `domain` submits (mode "s") or verifies what comes (mode "v"); keys in a file, not in DNS."""

    def __init__(self, folder, mode, domain, key, keys, name="mail.example.test"):
        self.mode, self.domain, self.key, self.keys, self.name = mode, domain, key, keys, name
        super().__init__(folder)

    @property
    def address(self):
        return f"inet:{self.port}@127.0.0.1"

    def configure(self):
        config = self.folder / "opendkim.conf"
        lines = [f"Mode {self.mode}", f"Socket inet:{self.port}@127.0.0.1", "Syslog no", "UserID root", "AutoRestart no", "Background no",
                 f"TestDNSData {self.keys}", f"AuthservID {self.name}", "AlwaysAddARHeader yes", "RequireSafeKeys no",
                 "Canonicalization relaxed/simple"]
        if self.mode == "s":
            lines += [f"Domain {self.domain}", "Selector k", f"KeyFile {self.key}", "InternalHosts 127.0.0.1"]
        else:
            lines.append("InternalHosts 192.0.2.1")  # the tests come from outside
        config.write_text("\n".join(lines) + "\n")
        self.command = ["/usr/sbin/opendkim", "-f", "-x", str(config)]


def unused_port():
    return free_ports(1)[0]
