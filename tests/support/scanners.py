"""clamd and Rspamd from Debian's archive, each with a configuration of its own in a folder, to be killed and stopped."""
import os
import pathlib
import signal
import socket
import subprocess
import time

from instance import free_ports
from processes import PATIENCE

# Not in one piece, so that no scanner takes this file away. (eicar.org, and Rspamd's gtube_patterns)
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


class Scanner:
    command = None

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_ports(1)[0]
        self.process = None
        self.configure()
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, seconds=120):
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output, cwd=self.folder, start_new_session=True)
        give_up = time.monotonic() + seconds * PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"{self.command[0]} does not start; see {self.folder}") from None
                time.sleep(0.1)

    def signal(self, number):
        """To the program and its children: they are one group."""
        os.killpg(self.process.pid, number)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self.process.wait()


class Clamd(Scanner):
    """Knows one virus: clamd has no signatures without a download."""

    def configure(self):
        database = self.folder / "signatures"
        database.mkdir(exist_ok=True)
        (database / "test.hdb").write_text("44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test\n")
        config = self.folder / "clamd.conf"
        config.write_text(f"Foreground yes\nLogFile {self.folder}/log\nDatabaseDirectory {database}\nTCPSocket {self.port}\n"
                          f"TCPAddr 127.0.0.1\nLocalSocket {self.folder}/socket\nMaxThreads 4\nSelfCheck 0\n")
        self.command = ["clamd", f"--config-file={config}"]


class Rspamd(Scanner):
    """With its built-in test patterns and no rules."""

    def configure(self):
        config = self.folder / "rspamd.conf"
        config.write_text(f"""options {{
  pidfile = "{self.folder}/pid";
  tempdir = "{self.folder}";
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }}
  dynamic_conf = "{self.folder}/dynamic";
  control_socket = "{self.folder}/control.sock mode=0600";
  hs_cache_dir = "{self.folder}";
  filters = "";
  gtube_patterns = "all";
  local_addrs = "192.168.0.0/16";
}}
logging {{ type = "file"; filename = "{self.folder}/log"; level = "info"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{self.port}"; count = 1; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
""")
        self.command = ["rspamd", "-f", "-i", "-c", str(config)]
