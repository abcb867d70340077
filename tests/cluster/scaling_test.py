#!/usr/bin/python3
"""Edges are scaled by hand and by the autoscaler under load; no session is cut, nothing is lost."""
import time
import unittest

from cluster import Release, main
from mail import Load


class Scaling(unittest.TestCase):
    def test_by_hand(self):
        with Release("scale") as release:
            release.install()
            for edge in ("smtp", "imap", "pop3"):
                target = release.make_accounts(10, edge)
                with self.subTest(edge), Load(target, seed=edge) as load:
                    load.wait_for_more(20)
                    for count in (4, 1):
                        release.kubectl("scale", f"deployment/{release.full}-{edge}", f"--replicas={count}")
                        release.wait_rolled_out(edge)
                        load.wait_for_more(20)
                    self.wait_count(release, edge, 1)
                self.assertEqual(load.check(), [])
                # A session that is drained ends between two commands, so that nothing is in doubt.
                self.assertEqual([entry.reply for entry in load.entries if entry.outcome == "in_doubt"], [])

    def test_by_the_autoscaler(self):
        with Release("autoscale") as release:
            release.install("services.smtp.autoscaling.enabled=true", "services.smtp.autoscaling.minReplicas=1",
                            "services.smtp.autoscaling.maxReplicas=4", "services.smtp.autoscaling.cpu=30",
                            # An idle pod uses 2 to 4 thousandths of a core, which must be well below the target.
                            "services.smtp.autoscaling.scaleDownAfter=15", "services.smtp.resources.requests.cpu=40m")
            target = release.make_accounts(10)
            with Load(target, connections=8, seed="auto") as load:
                self.wait_count(release, "smtp", 3, at_least=True, wait=300)
            self.wait_count(release, "smtp", 1, wait=600)
            self.assertEqual(load.check(), [])
            self.assertEqual([entry.reply for entry in load.entries if entry.outcome == "in_doubt"], [])

    def wait_count(self, release, component, count, at_least=False, wait=200):
        give_up = time.monotonic() + wait
        while True:
            found = len(release.pods(component))
            if found == count or (at_least and found >= count):
                return
            self.assertLess(time.monotonic(), give_up, f"{component} has {found} pods")
            time.sleep(1)


if __name__ == "__main__":
    main()
