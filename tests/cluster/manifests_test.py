#!/usr/bin/python3
"""The API server accepts every object of every profile, in a namespace that Pod Security restricts, without a warning."""
import sys
import unittest

import yaml

from cluster import ROOT, main, run, use_cluster

sys.path.append(str(ROOT / "tests/chart"))
from chart import NAME, profiles, render  # noqa: E402

# Of the Prometheus operator and cert-manager, which the cluster need not have.
FOREIGN = ("monitoring.coreos.com", "cert-manager.io")
NAMESPACE = "merpati-test-manifests"


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        use_cluster()
        cls.addClassCleanup(run, "kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found")
        run("kubectl", "create", "namespace", NAMESPACE)
        run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted",
            "pod-security.kubernetes.io/warn=restricted")
        run("kubectl", "-n", NAMESPACE, "create", "serviceaccount", NAME)  # the pods of helm test need theirs

    def test_every_profile(self):
        more = [("autoscaled", ["--set", "defaults.autoscaling.enabled=true,services.imap.autoscaling.sessions=9"])]
        for name, arguments in profiles() + more:
            with self.subTest(name):
                objects = [each for each in render("--namespace", NAMESPACE, *arguments)
                           if not each["apiVersion"].startswith(FOREIGN)]
                answer = run("bash", "-c", "kubectl apply --dry-run=server --validate=strict -f - 2>&1",
                             input=yaml.safe_dump_all(objects), timeout=300)
                self.assertNotIn("Warning", answer.replace("Warning: resource serviceaccounts", ""))
                self.assertEqual(answer.count("(server dry run)"), len(objects), answer)


if __name__ == "__main__":
    main()
