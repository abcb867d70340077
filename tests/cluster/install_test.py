#!/usr/bin/python3
"""helm install alone gives a working platform; uninstalling it keeps what is dear."""
import socket
import unittest

from cluster import PASSWORD, WAIT, Release, main
from mail import inbox, maildrop, send, send_through_proxy


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = Release("install")
        cls.enterClassContext(cls.release)
        cls.seconds = cls.release.install()
        cls.target = cls.release.make_accounts(20)

    def test_it_works_within_three_minutes(self):
        print(f"installed in {self.seconds:.0f} s")
        self.assertLess(self.seconds, WAIT)

    def test_mail_goes_in_and_comes_out(self):
        user = self.target.account()
        send(self.target, user, "hello-cluster")
        for found in (inbox(self.target, user), maildrop(self.target, user)):
            self.assertEqual(len(found), 1)
            self.assertIn(b"hello-cluster", found[0])

    def test_helm_test(self):
        self.assertIn("Succeeded", self.release.helm("test", self.release.name, "--timeout", "3m"))

    def test_large_mail_is_in_the_object_store(self):
        user = self.target.account()
        mark = "large-" + "x" * 900
        body = "\r\n".join([mark] * 300)
        send(self.target, user, "large\r\n\r\n" + body)
        self.assertIn(body.encode(), inbox(self.target, user)[0])

    def test_received_names_the_client(self):
        user = self.target.account()
        send(self.target, user, "from-where")
        with socket.create_connection(self.target.address("SMTP"), timeout=30) as connection:
            ours = connection.getsockname()[0]
        self.assertIn(f"[{ours}]".encode(), inbox(self.target, user)[0])

    def test_every_service_tells_its_state(self):
        states = self.release.ctl("service", "status")
        for service in ("smtp", "pop3", "imap", "sieve", "auth", "store", "filter", "queue", "admin"):
            self.assertRegex(states, rf"(?m)^{service} +ready")

    def test_no_pod_has_a_token_but_certs(self):
        for pod in self.release.get("pods")["items"]:
            component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
            volumes = [volume["name"] for volume in pod["spec"]["volumes"] if "kube-api-access" in volume["name"]]
            self.assertEqual(bool(volumes), component == "certs", pod["metadata"]["name"])


class Proxy(unittest.TestCase):
    def test_received_names_the_client_behind_a_balancer(self):
        with Release("proxy") as release:
            release.install("services.smtp.proxyTrusted={0.0.0.0/0}")
            target = release.make_accounts(1)
            user = target.account()
            send_through_proxy(release.address("smtp"), "203.0.113.9", user, "proxied")
            self.assertIn(b"[203.0.113.9]", inbox(target, user)[0])


class Cells(unittest.TestCase):
    def test_each_account_has_its_mail_in_its_cell(self):
        with Release("cells") as release:
            release.install("stores[0].name=north", "stores[1].name=south")
            target = release.make_accounts(1)
            release.ctl("account", "create", "far@example.test", "--cell", "south", "--password-stdin", input=PASSWORD + "\n")
            near = target.account()
            for user in (near, "far@example.test"):
                send(target, user, "large\r\n\r\n" + "to-its-cell\r\n" * 8000)
                self.assertIn(b"to-its-cell", inbox(target, user)[0])
            release.kubectl("scale", f"deployment/{release.full}-store-south", "--replicas=0")
            release.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=store-south", "--timeout=120s")
            send(target, near, "the-other-goes-on")
            self.assertEqual(len(inbox(target, near)), 2)


class Uninstall(unittest.TestCase):
    def test_mail_and_secrets_stay_and_are_found_again(self):
        with Release("uninstall") as release:
            release.install()
            target = release.make_accounts(1)
            user = target.account()
            send(target, user, "kept")
            secrets = {name: release.get("secret", name)["data"] for name in release.names("secret") if
                       name.startswith(release.full)}
            release.helm("uninstall", release.name, "--wait")
            self.assertEqual(len(release.names("persistentvolumeclaim")), 2)
            for name, data in secrets.items():
                self.assertEqual(release.get("secret", name)["data"], data)
            release.kubectl("wait", "--for=delete", "pod", "--all", "--timeout=180s")
            release.addresses.clear()
            release.install()
            self.assertIn(b"kept", inbox(target, user)[0])
            release.upgrade("secrets.keep=false", "evaluation.volumesOnUninstall=Delete")
            release.helm("uninstall", release.name, "--wait")
            self.assertEqual([name for name in release.names("secret") if name.startswith(release.full)], [])
            release.kubectl("wait", "--for=delete", "persistentvolumeclaim", "--all", "--timeout=180s")


if __name__ == "__main__":
    main()
