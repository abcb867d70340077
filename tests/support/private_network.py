"""A network of the test's own, in which it can swallow packets: nothing of the machine's is touched.

enter() starts the program again inside a network namespace (as root, or in a user namespace of its own); Network.swallow()
drops what goes to and from some ports there, so that connections stay open and nobody answers, as behind a dead switch.
"""
import os
import shutil
import subprocess
import sys

INSIDE = "MERPATI_PRIVATE_NETWORK"
PROGRAMS = ["unshare", "ip", "nft"]


def enter():
    """Returns inside of the namespace, or says why there is none."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if os.environ.get(INSIDE) == str(os.getpid()):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return None
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        return "not installed: " + ", ".join(missing)
    command = ["unshare", "--net"]
    if os.geteuid() != 0:  # the same user, who may do everything to this network alone
        command += ["--user", "--map-current-user", "--keep-caps"]
    works = subprocess.run([*command, "sh", "-c", "ip link set lo up && nft add table inet merpati"],
                           capture_output=True, text=True, check=False)
    if works.returncode != 0:
        return f"no network namespace of one's own: {works.stderr.strip()}"
    os.environ[INSIDE] = str(os.getpid())  # exec keeps it
    sys.stdout.flush()
    os.execvp(command[0], [*command, "--", sys.executable, *sys.argv])


class Network:
    """Rules of the namespace that enter() made."""

    def __init__(self):
        self.nft("add table inet merpati; add chain inet merpati hole { type filter hook input priority 0; }")

    @staticmethod
    def nft(commands):
        subprocess.run(["nft", commands], check=True, stdout=subprocess.DEVNULL)

    def swallow(self, *ports):
        places = ", ".join(str(port) for port in ports)
        self.nft("; ".join(f"add rule inet merpati hole {protocol} {side} {{ {places} }} drop"
                           for protocol in ("tcp", "udp") for side in ("dport", "sport")))

    def heal(self):
        self.nft("flush chain inet merpati hole")
