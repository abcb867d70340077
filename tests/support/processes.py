"""Kills and restarts the processes of an instance of ./dev, PostgreSQL included."""
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

# How many times as long to wait before giving up: the programs of a sanitizer are slow (cmake/options.cmake).
PATIENCE = int(os.environ.get("MERPATI_PATIENCE", "1"))


def children_of(pid):
    try:
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class Processes:
    """Names are those of <state>/run/NAME.pid, and "postgres"."""

    def __init__(self, state):
        self.state = pathlib.Path(state)
        self.commands = {}
        self.environments = {}
        for name in self.names():
            self.remember(name)

    def names(self):
        services = [path.stem for path in sorted((self.state / "run").glob("*.pid"))]
        return services + ["postgres"]

    def pid(self, name):
        if name == "postgres":
            file = self.state / "postgres" / "data" / "postmaster.pid"
        else:
            file = self.state / "run" / f"{name}.pid"
        try:
            pid = int(file.read_text().split()[0])
            os.kill(pid, 0)
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            return pid if state != "Z" else None
        except (OSError, ValueError, IndexError):
            return None

    def remember(self, name):
        pid = self.pid(name)
        if pid:
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
            owner = os.stat(f"/proc/{pid}").st_uid
            environ = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="surrogateescape").split("\0")
            self.commands[name] = (command, owner)
            self.environments[name] = dict(item.split("=", 1) for item in environ if "=" in item)

    def kill(self, name, number=signal.SIGKILL):
        """kill -9 by default; of PostgreSQL the server and all its children at once, as a power cut of its machine."""
        pid = self.pid(name)
        if not pid:
            return
        victims = [pid] + (children_of(pid) if name == "postgres" else [])
        for victim in victims:
            try:
                os.kill(victim, number)
            except ProcessLookupError:
                pass
        self.wait_gone(name, victims)

    def wait_gone(self, name, pids, seconds=30):
        give_up = time.monotonic() + seconds * PATIENCE
        for pid in pids:
            while True:
                try:
                    os.waitpid(pid, os.WNOHANG)  # one that restart() started is our child
                except ChildProcessError:
                    pass
                try:
                    if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                        break
                except OSError:
                    break
                if time.monotonic() > give_up:
                    raise RuntimeError(f"{name} ({pid}) does not end")
                time.sleep(0.01)

    def restart(self, name, environment=None):
        """Starts it as it was; returns at once."""
        command, owner = self.commands[name]
        log = open(self.state / "logs" / f"{name}.log", "ab")
        if name == "postgres":
            # It is dead, but perhaps not yet reaped by its parent, which PostgreSQL takes for alive.
            (self.state / "postgres" / "data" / "postmaster.pid").unlink(missing_ok=True)
            for lock in self.socket_folder().glob(".s.PGSQL.*"):
                lock.unlink(missing_ok=True)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                   cwd="/", user=owner if os.geteuid() == 0 else None, group=None if os.geteuid() else
                                   gid_of(owner), env=dict(self.environments[name], **(environment or {})))
        log.close()
        if name != "postgres":
            started = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
            (self.state / "run" / f"{name}.pid").write_text(f"{process.pid} {started}\n")
        return process

    def http_port(self, name):
        """From the configuration that ./dev wrote: http: {address: "127.0.0.1", port: N}."""
        file = self.state / "services" / f"{name}.yaml"
        if not file.exists():
            file = self.state / "merpati.yaml"
        for line in file.read_text().splitlines():
            if line.startswith("http:"):
                return int(line.split("port:")[1].split("}")[0])
        raise RuntimeError(f"no http port in {file}")

    def socket_folder(self):
        command = self.commands["postgres"][0]
        return pathlib.Path(command[command.index("-k") + 1])

    def ready(self, name):
        if name == "postgres":
            program = pathlib.Path(self.commands["postgres"][0][0]).parent / "pg_isready"
            return subprocess.run([program, "-q", "-h", self.socket_folder()], check=False).returncode == 0
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            return opener.open(f"http://127.0.0.1:{self.http_port(name)}/readyz", timeout=2).status == 200
        except (OSError, urllib.error.URLError):
            return False

    def wait_ready(self, name, seconds=60):
        give_up = time.monotonic() + seconds * PATIENCE
        while not self.ready(name):
            if time.monotonic() > give_up:
                raise RuntimeError(f"{name} is not ready after {seconds} s")
            time.sleep(0.05)


def gid_of(uid):
    import pwd
    return pwd.getpwuid(uid).pw_gid
