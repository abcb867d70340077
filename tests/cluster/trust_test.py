#!/usr/bin/python3
"""Certificates between services are rotated under load, without a restart and without a lost message."""
import json
import time
import unittest

from cluster import Release, main
from mail import Load

SERVICES = ("smtp", "pop3", "imap", "sieve", "auth", "store", "filter", "queue", "admin")


class Trust(unittest.TestCase):
    def run_certs(self, release, name, *arguments):
        """A Job like that of the CronJob, with more arguments."""
        job = release.get("cronjob", f"{release.full}-certs")["spec"]["jobTemplate"]
        job.update(apiVersion="batch/v1", kind="Job", metadata={"name": name})
        job["spec"]["template"]["spec"]["containers"][0]["command"] += arguments
        release.kubectl("create", "-f", "-", input=json.dumps(job))
        release.kubectl("wait", "--for=condition=complete", f"job/{name}", "--timeout=120s")
        return release.kubectl("logs", f"job/{name}")

    def wait_published(self, release, wait=240):
        """Until the kubelet has brought the Secrets into every pod."""
        give_up = time.monotonic() + wait
        for component in SERVICES:
            for file in ("ca.crt", "tls.crt"):
                wanted = release.secret(f"{component}-tls", file).decode()
                for pod in release.pods(component):
                    while release.kubectl("exec", pod["metadata"]["name"], "-c", component, "--", "cat",
                                          f"/etc/merpati/tls/{file}") != wanted:
                        self.assertLess(time.monotonic(), give_up, f"{component} does not get {file}")
                        time.sleep(1)

    def test_rotation(self):
        with Release("trust") as release:
            release.install("certificates.overlap=1s")
            target = release.make_accounts(10)
            before = release.secret("store-tls", "tls.crt"), release.secret("authority", "current.crt")
            restarts = self.restarts(release)
            with Load(target) as load:
                load.wait_for_more(20)
                self.assertIn("authorities_published", self.run_certs(release, "announce", "--rotate"))
                self.assertEqual(release.secret("store-tls", "tls.crt"), before[0])
                self.assertEqual(release.secret("store-tls", "ca.crt").count(b"BEGIN CERTIFICATE"), 2)
                self.wait_published(release)
                self.assertIn("certificate_issued", self.run_certs(release, "promote"))
                self.assertNotEqual(release.secret("store-tls", "tls.crt"), before[0])
                self.wait_published(release)
                # New connections between everybody, with the new certificates and still both authorities.
                release.kubectl("rollout", "restart", f"deployment/{release.full}-store")
                release.wait_rolled_out("store")
                load.wait_for_more(20)
                self.run_certs(release, "drop")
                self.assertNotIn(before[1], release.secret("store-tls", "ca.crt"))
                self.wait_published(release)
                release.kubectl("rollout", "restart", f"deployment/{release.full}-auth")
                release.wait_rolled_out("auth")
                load.wait_for_more(20)
            self.assertEqual(load.check(), [])
            for pod, count in self.restarts(release).items():
                self.assertEqual(count, restarts.get(pod, 0), pod)

    def restarts(self, release):
        return {pod["metadata"]["name"]: sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
                for pod in release.get("pods")["items"] if "job-name" not in pod["metadata"]["labels"]}


if __name__ == "__main__":
    main()
