#!/usr/bin/python3
"""Restarts, killed pods and a drained node under load: nothing acknowledged is lost, nothing is doubled."""
import socket
import threading
import unittest

from cluster import Release, main
from mail import Load, imap

COMPONENTS = ("smtp", "pop3", "imap", "sieve", "auth", "store", "filter", "queue", "admin")


class Idler(threading.Thread):
    """A session in IDLE that comes back whenever it is ended; remembers how each ended."""

    def __init__(self, target, user):
        super().__init__(daemon=True)
        self.target, self.user, self.ending, self.endings = target, user, False, []

    def run(self):
        while not self.ending:
            self.client = client = imap(self.target, self.user)
            client.sock.settimeout(None)
            client.select("INBOX")
            client.send(b"x IDLE\r\n")
            last = b""
            try:
                while line := client.readline():
                    last = line
            except OSError:
                pass
            if not self.ending:
                self.endings.append(last)
            client.shutdown()

    def end(self):
        self.ending = True
        try:
            self.client.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has just ended by itself
        self.join(timeout=90)


class Rolling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = Release("rolling")
        cls.enterClassContext(cls.release)
        cls.release.install("defaults.replicas=2", timeout=300)

    def outcomes(self, load):
        counts = {outcome: sum(entry.outcome == outcome for entry in load.entries) for outcome in
                  ("acknowledged", "refused", "in_doubt", "not_sent")}
        return counts, sorted({entry.reply[:150] for entry in load.entries if entry.outcome != "acknowledged"})

    def test_restart_of_every_deployment(self):
        target = self.release.make_accounts(15, "restarted")
        idlers = [Idler(target, target.template % number) for number in range(11, 16)]
        for idler in idlers:
            idler.start()
        with Load(target, seed=2) as load:
            load.wait_for_more(30)
            for component in COMPONENTS:
                self.release.kubectl("rollout", "restart", f"deployment/{self.release.full}-{component}")
            self.release.wait_rolled_out(timeout=600)
            load.wait_for_more(30)
        print("restart:", self.outcomes(load), flush=True)
        self.assertEqual(load.check(), [])
        # SMTP transactions that were short enough are never cut after DATA began.
        self.assertEqual([e.reply for e in load.entries if e.way == "mx" and e.outcome == "in_doubt"], [])
        for idler in idlers:
            idler.end()
        endings = [ending for idler in idlers for ending in idler.endings]
        self.assertTrue(endings, "the sessions were ended once at least")
        for ending in endings:
            self.assertTrue(ending.startswith(b"* BYE"), ending)

    def test_pods_that_are_killed(self):
        with Load(self.release.make_accounts(10, "killed"), seed=3) as load:
            load.wait_for_more(20)
            for component in COMPONENTS:
                pod = self.release.pods(component)[0]["metadata"]["name"]
                self.release.kubectl("delete", "pod", pod, "--force", "--grace-period=0")
                load.wait_for_more(10)
            self.release.wait_rolled_out()
            load.wait_for_more(20)
        print("killed:", self.outcomes(load), flush=True)
        self.assertEqual(load.check(), [])

    def test_a_drain_stops_at_the_disruption_budget(self):
        nodes = [node["metadata"]["name"] for node in self.release.get("nodes")["items"]]
        if len(nodes) != 1:
            self.skipTest("written for a cluster of one node")
        release = self.release
        with Load(release.make_accounts(10, "drained"), seed=4) as load:
            load.wait_for_more(20)
            try:
                drain = release.kubectl("drain", nodes[0], "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=40s",
                                        "--pod-selector", "app.kubernetes.io/component in (smtp,imap,pop3,store,filter)",
                                        check=False, timeout=120)
                # The evicted have nowhere to go, so the other of each has to stay.
                for component in ("smtp", "imap", "pop3", "store", "filter"):
                    ready = [pod for pod in release.pods(component) if any(
                        c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))]
                    self.assertEqual(len(ready), 1, f"{component}: {drain}")
                load.wait_for_more(20)
            finally:
                release.kubectl("uncordon", nodes[0])
            release.wait_rolled_out()
            load.wait_for_more(10)
        print("drained:", self.outcomes(load), flush=True)
        self.assertEqual(load.check(), [])


if __name__ == "__main__":
    main()
