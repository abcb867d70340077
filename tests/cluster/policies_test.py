#!/usr/bin/python3
"""A pod that the network policies do not name reaches nothing but what is open to everybody."""
import json
import unittest

from cluster import Release, main


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = Release("policies")
        cls.enterClassContext(cls.release)
        cls.release.install()
        cls.stranger("stranger", {})
        # One that claims to be of the release, but is no service of it.
        cls.stranger("impostor", {"app.kubernetes.io/name": "merpati", "app.kubernetes.io/instance": cls.release.name,
                                  "app.kubernetes.io/component": "nobody"})

    @classmethod
    def stranger(cls, name, labels):
        security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        image = next(each for each in cls.release.get("statefulset", f"{cls.release.full}-postgresql")["spec"]["template"]
                     ["spec"]["containers"])["image"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "shell", "image": image, "command": ["sleep", "3600"], "securityContext": security}]}}
        cls.release.kubectl("create", "-f", "-", input=json.dumps(pod))
        cls.release.kubectl("wait", "--for=condition=ready", f"pod/{name}", "--timeout=60s")

    def reaches(self, pod, host, port):
        done = self.release.kubectl("exec", pod, "--", "timeout", "3", "bash", "-c",
                                    f"exec 3<>/dev/tcp/{host}/{port} && echo reached || echo refused", check=False)
        return "reached" in done

    def test_a_stranger_reaches_what_is_open(self):
        for service, port in (("smtp", 25), ("imap", 143), ("pop3", 110), ("sieve", 4190), ("admin", 50051)):
            self.assertTrue(self.reaches("stranger", f"{self.release.full}-{service}", port), service)

    def test_and_nothing_else(self):
        for service in ("auth", "store", "filter", "queue", "smtp-pods", "imap-pods", "pop3-pods", "sieve-pods"):
            self.assertFalse(self.reaches("stranger", f"{self.release.full}-{service}", 50051), service)
        for service, port in (("postgresql", 5432), ("objects", 7070)):
            self.assertFalse(self.reaches("stranger", f"{self.release.full}-{service}", port), service)

    def test_what_is_of_the_release_but_not_named_reaches_nothing_at_all(self):
        address = self.release.get("service", f"{self.release.full}-smtp")["spec"]["clusterIP"]
        self.assertFalse(self.reaches("impostor", address, 25))
        self.assertTrue(self.reaches("stranger", address, 25), "the address is right")


if __name__ == "__main__":
    main()
