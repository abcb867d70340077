#!/usr/bin/python3
"""A pod that is stopped: what is in hand is finished, who is too slow is cut and counted, idle sessions leave one by one."""
import smtplib
import subprocess
import threading
import time
import unittest

from cluster import Release, main
from mail import imap, inbox, patiently

GRACE = 40  # seconds from SIGTERM


class Drain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = Release("drain")
        cls.enterClassContext(cls.release)
        cls.release.install(f"gracePeriod.edge={GRACE}")
        cls.target = cls.release.make_accounts(20)

    def stop(self, component):
        """Deletes the component's pod, gracefully; its log comes as lines when it has ended."""
        pod = self.release.pods(component)[0]["metadata"]["name"]
        log = subprocess.Popen(["kubectl", "-n", self.release.namespace, "logs", "-f", pod, "-c", component],
                               stdout=subprocess.PIPE, text=True)
        self.release.kubectl("delete", "pod", pod, "--wait=false")
        return log

    def session(self):
        client = patiently(lambda: smtplib.SMTP(*self.target.address("SMTP"), timeout=3 * GRACE))
        self.addCleanup(client.close)
        client.ehlo("sender.test")
        return client

    def in_data(self, user, subject):
        """A session that has sent the first half of a message."""
        client = self.session()
        client.mail("anna@sender.test")
        client.rcpt(user)
        self.assertEqual(client.docmd("DATA")[0], 354)
        client.send(f"From: anna@sender.test\r\nSubject: {subject}\r\n\r\nhalf\r\n")
        return client

    def test_a_transaction_is_finished_and_a_slow_one_is_cut(self):
        user = self.target.account()
        idle = self.session()
        quick, slow = self.in_data(user, "quick"), self.in_data(user, "slow")
        log = self.stop("smtp")
        self.assertEqual(idle.getreply()[0], 421)  # the drain has begun
        quick.send("other half\r\n.\r\n")
        self.assertEqual(quick.getreply()[0], 250)
        try:
            code = slow.getreply()[0]
        except (smtplib.SMTPServerDisconnected, ConnectionError):
            code = 0
        self.assertIn(code, (0, 421), "a message that never ended was answered")
        lines = log.communicate(timeout=60)[0]
        self.assertRegex(lines, r'"event":"smtp_sessions_cut".*"sessions":1\b')
        found = inbox(self.target, user)
        self.assertEqual([b"quick" in message for message in found], [True])

    def test_idle_sessions_leave_one_by_one(self):
        ended, lock = [], threading.Lock()

        def idle(user):
            client = imap(self.target, user)
            client.sock.settimeout(3 * GRACE)
            client.select("INBOX")
            client.send(b"x IDLE\r\n")
            while not client.readline().startswith(b"+"):
                pass
            ready.release()
            last = b""
            while line := client.readline():
                last = line
            with lock:
                ended.append((time.monotonic(), last))
            client.shutdown()

        ready = threading.Semaphore(0)
        threads = [threading.Thread(target=idle, args=(self.target.account(),), daemon=True) for _ in range(10)]
        for thread in threads:
            thread.start()
        for _ in threads:
            self.assertTrue(ready.acquire(timeout=60))
        self.stop("imap").communicate(timeout=3 * GRACE)
        for thread in threads:
            thread.join(timeout=GRACE)
        self.assertEqual(len(ended), len(threads))
        self.assertTrue(all(line.startswith(b"* BYE") for _, line in ended), ended)
        # Nobody comes back at the same time as everybody: they are spread over half of what is left of the grace period.
        self.assertGreater(max(ended)[0] - min(ended)[0], GRACE / 8)


if __name__ == "__main__":
    main()
