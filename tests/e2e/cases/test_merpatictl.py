"""merpatictl against a running admin: what operators and their scripts rely on."""
import imaplib
import json
import random

from mail_test import MailTest

USAGE, NOT_FOUND, EXISTS, DENIED, UNREACHABLE, STATE = 2, 3, 4, 5, 6, 7


class Merpatictl(MailTest):
    def setUp(self):
        super().setUp()
        if "CTL_CONTEXT" not in self.target.env:
            self.skipTest("the target has no CTL_CONTEXT")
        self.domain = f"ctl-{random.randrange(1 << 40):x}.test"

    def ctl(self, *arguments, expect=0, stdin=b"", token=None):
        env = {"MERPATI_TOKEN": token} if token else {}
        done = self.run_program(self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], *arguments,
                                stdin=stdin, check=False, env=env)
        self.assertEqual(done.returncode, expect, (arguments, done.stdout, done.stderr))
        if expect:
            self.assertTrue(done.stderr, "an error says something")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.ctl("-o", "json", *arguments, **options).stdout)

    def make_domain(self):
        self.ctl("domain", "create", self.domain)

    def login(self, user, password):
        connection = imaplib.IMAP4_SSL(self.target.host, self.target.port("IMAPS"), ssl_context=self.tls())
        self.addCleanup(connection.shutdown)
        return connection.login(user, password)

    def test_a_persons_life(self):
        self.make_domain()
        user = "eve@" + self.domain
        account = self.json("account", "create", user, "--password-stdin", "--display-name", "Eve", "--quota", "1GiB", stdin=b"first pass\n")
        self.assertEqual((account["address"], account["quota_bytes"]), (user, 1 << 30))
        self.login(user, "first pass")
        self.ctl("account", "create", user, "--no-password", expect=EXISTS)
        self.ctl("account", "create", user, "--no-password", "--if-missing")
        self.ctl("password", "set", user, "--password-stdin", stdin=b"second pass\n")
        self.login(user, "second pass")
        with self.assertRaises(imaplib.IMAP4.error):
            self.login(user, "first pass")
        self.assertEqual([row["name"] for row in self.json("mailbox", "list", user)][0], "INBOX")
        self.assertEqual(self.json("quota", "show", user)["limit_bytes"], 1 << 30)
        self.ctl("quota", "set", user, "--bytes", "2GiB")
        self.assertEqual(self.json("quota", "show", user)["limit_bytes"], 2 << 30)
        self.ctl("account", "update", user, "--disable")
        with self.assertRaises(imaplib.IMAP4.error):
            self.login(user, "second pass")
        self.ctl("domain", "delete", self.domain, expect=STATE)
        self.ctl("account", "delete", user)
        self.ctl("mailbox", "list", user, expect=NOT_FOUND)

    def test_aliases_and_many_accounts(self):
        self.make_domain()
        self.ctl("account", "create-many", "p%d@" + self.domain, "--count", "3", "--password-stdin", stdin=b"pw for all\n")
        made = self.json("account", "create-many", "p%d@" + self.domain, "--count", "5", "--password-stdin", stdin=b"pw for all\n")
        self.assertEqual(made, {"made": 2, "present": 3})
        self.assertEqual(len(self.json("account", "list", self.domain)), 5)
        self.ctl("alias", "create", "all@" + self.domain, "p1@" + self.domain, "p2@" + self.domain)
        self.assertEqual(self.json("alias", "list", self.domain)[0]["targets"], ["p1@" + self.domain, "p2@" + self.domain])
        self.ctl("alias", "delete", "all@" + self.domain)
        self.assertEqual(self.json("alias", "list", self.domain), [])

    def test_roles(self):
        self.make_domain()
        reader = self.json("token", "create", "reader-" + self.domain, "--role", "read-only")["secret"]
        keeper = self.json("token", "create", "keeper-" + self.domain, "--role", "domain-admin", "--domain", self.domain)["secret"]
        self.json("domain", "list", token=reader)
        self.json("queue", "list", token=reader)
        self.ctl("domain", "create", "x" + self.domain, expect=DENIED, token=reader)
        self.ctl("token", "list", expect=DENIED, token=reader)
        self.ctl("audit", "list", expect=DENIED, token=reader)
        self.ctl("account", "create", "kim@" + self.domain, "--no-password", token=keeper)
        self.ctl("account", "create", "kim@" + self.target.domain, "--no-password", expect=DENIED, token=keeper)
        self.ctl("account", "list", self.target.domain, expect=DENIED, token=keeper)
        self.ctl("domain", "update", self.domain, "--disable", expect=DENIED, token=keeper)
        self.ctl("token", "whoami", expect=DENIED, token="mpt_wrong")
        self.ctl("token", "revoke", "reader-" + self.domain)
        self.ctl("domain", "list", expect=DENIED, token=reader)
        self.ctl("token", "revoke", "reader-" + self.domain, expect=NOT_FOUND)
        rows = self.json("audit", "list", "-n", "200")
        outcomes = {(row["method"], row["target"]): row["outcome"] for row in reversed(rows)}
        self.assertEqual(outcomes[("CreateDomain", self.domain)], "OK")
        self.assertEqual(outcomes[("CreateDomain", "x" + self.domain)], "PERMISSION_DENIED", "a refused change stands there too")
        self.assertEqual(outcomes[("CreateAccount", "kim@" + self.domain)], "OK")
        self.assertEqual([row["token_name"] for row in rows if row["target"] == "kim@" + self.domain], ["keeper-" + self.domain])

    def test_services_and_queue(self):
        services = self.json("service", "status")
        self.assertTrue(services)
        self.assertTrue(all(row["reachable"] and row["status"]["ready"] for row in services), services)
        self.assertEqual(self.json("queue", "list", "--domain", "nobody-" + self.domain), [])
        self.ctl("queue", "show", "999999999", expect=NOT_FOUND)

    def test_errors_have_hints_and_codes(self):
        done = self.ctl("domain", "get", "missing-" + self.domain, expect=NOT_FOUND)
        self.assertIn(b"hint:", done.stderr)
        self.assertNotIn(b"PostgreSQL", done.stderr)
        self.ctl("account", "create", "no-at-sign", "--no-password", expect=USAGE)
        self.ctl("nonsense", expect=USAGE)
        self.ctl("--server", "127.0.0.1:1", "domain", "list", expect=UNREACHABLE)
        self.ctl("account", "create", "a@" + self.domain, "--password-stdin", stdin=b"", expect=USAGE)

    def test_formats_and_completion(self):
        self.make_domain()
        self.assertIn(b"DOMAIN", self.ctl("domain", "list").stdout)
        self.assertIn(self.domain.encode(), self.ctl("-o", "yaml", "domain", "list").stdout)
        script = self.ctl("completion", "bash").stdout.decode() + '\nCOMP_WORDS=(merpatictl account cr); COMP_CWORD=2\n_merpatictl; echo "${COMPREPLY[@]}"'
        self.assertEqual(self.run_program("bash", "-c", script).stdout.split(), [b"create", b"create-many"])
