"""merpatictl against a running admin: what operators and their scripts rely on."""
import imaplib
import json
import random
import shutil
import socket

import yaml

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

    def test_a_list_of_a_domain_that_is_not_here_says_so(self):
        self.ctl("account", "list", self.domain, expect=NOT_FOUND)
        self.ctl("alias", "list", self.domain, expect=NOT_FOUND)

    def test_a_list_without_a_domain_is_of_all_that_the_token_may_see(self):
        self.make_domain()
        self.ctl("account", "create", "kim@" + self.domain, "--no-password")
        self.ctl("alias", "create", "all@" + self.domain, "kim@" + self.domain)
        everybody = {row["address"] for row in self.json("account", "list")}
        self.assertLessEqual({"kim@" + self.domain, self.user}, everybody)
        self.assertIn("all@" + self.domain, {row["address"] for row in self.json("alias", "list")})
        keeper = self.json("token", "create", "keeper-" + self.domain, "--role", "domain-admin", "--domain", self.domain)["secret"]
        self.assertEqual([row["address"] for row in self.json("account", "list", token=keeper)], ["kim@" + self.domain])
        self.assertEqual([row["address"] for row in self.json("alias", "list", token=keeper)], ["all@" + self.domain])

    def test_a_domain_admin_touches_nothing_else(self):
        self.make_domain()
        other = "other-" + self.domain
        self.ctl("domain", "create", other)
        self.ctl("account", "create", "kim@" + other, "--no-password")
        self.ctl("alias", "create", "all@" + other, "kim@" + other)
        keeper = self.json("token", "create", "keeper-" + self.domain, "--role", "domain-admin", "--domain", self.domain)["secret"]
        theirs = "kim@" + other
        for forbidden in (("account", "create", "new@" + other, "--no-password"), ("account", "get", theirs), ("account", "list", other),
                          ("account", "update", theirs, "--disable"), ("account", "delete", theirs), ("account", "sign-out", theirs),
                          ("password", "set", theirs, "--password-stdin"), ("quota", "set", theirs, "--bytes", "1GiB"),
                          ("quota", "show", theirs), ("mailbox", "list", theirs), ("alias", "create", "x@" + other, theirs),
                          ("alias", "list", other), ("alias", "delete", "all@" + other), ("domain", "get", other),
                          ("account", "create-many", "p%d@" + other, "--count", "2", "--password-stdin"),
                          ("domain", "create", "x" + other), ("domain", "delete", self.domain), ("domain", "list"),
                          ("queue", "list"), ("queue", "show", "1"), ("queue", "retry", "--all"), ("queue", "drop", "1"),
                          ("service", "status"), ("key", "rotate"), ("token", "list"), ("audit", "list"),
                          ("token", "create", "mine", "--role", "admin"), ("token", "revoke", "keeper-" + self.domain)):
            with self.subTest(forbidden):
                self.ctl(*forbidden, expect=DENIED, token=keeper, stdin=b"some password\n")
        self.ctl("domain", "get", self.domain, token=keeper)
        self.ctl("alias", "create", "sales@" + self.domain, theirs, token=keeper)
        self.assertEqual(self.json("account", "get", theirs)["enabled"], True)

    def test_a_domain_is_the_same_in_both_spellings(self):
        name = f"b\u00fccher-{self.domain}"
        made = self.json("domain", "create", name, "--no-scram")
        self.assertTrue(made["name"].startswith("xn--"), made)
        self.assertEqual((made["unicode_name"], made["scram"]), (name, False))
        keeper = self.json("token", "create", "keeper-" + self.domain, "--role", "domain-admin", "--domain", name)["secret"]
        self.ctl("account", "create", "kim@" + made["name"], "--password-stdin", token=keeper, stdin=b"a good one\n")
        self.ctl("account", "get", "KIM@" + name, token=keeper)
        self.login("kim@" + made["name"], "a good one")
        self.assertEqual(self.json("domain", "update", name, "--scram")["scram"], True)

    def test_a_new_key_ends_no_session(self):
        session = self.login(self.user, self.target.password)
        before = imaplib.IMAP4_SSL(self.target.host, self.target.port("IMAPS"), ssl_context=self.tls())
        self.addCleanup(before.shutdown)
        before.login(self.user, self.target.password)
        self.assertTrue(self.json("key", "rotate")["key_id"])
        self.assertEqual(before.select("INBOX")[0], "OK")
        self.login(self.user, self.target.password)
        self.assertEqual(session[0], "OK")
        newest = self.json("audit", "list", "-n", "1")[0]
        self.assertLess(self.json("audit", "list", "--before", str(newest["audit_id"]), "-n", "1")[0]["audit_id"], newest["audit_id"])

    def test_every_command_speaks_every_format(self):
        self.make_domain()
        kim = "kim@" + self.domain
        self.ctl("account", "create", kim, "--no-password")
        self.ctl("alias", "create", "all@" + self.domain, kim, "out@elsewhere.test")
        self.ctl("token", "create", "reader-" + self.domain, "--role", "read-only")
        for command in (("domain", "list"), ("domain", "get", self.domain), ("domain", "update", self.domain, "--catch-all", kim),
                        ("account", "list", self.domain), ("account", "get", kim), ("account", "update", kim, "--display-name", "K: \u00fc"),
                        ("account", "create-many", "p%d@" + self.domain, "--count", "1", "--password-stdin"),
                        ("alias", "list", self.domain), ("alias", "create", "all@" + self.domain, kim, "--replace"), ("mailbox", "list", kim),
                        ("quota", "show", kim), ("quota", "set", kim, "--messages", "5"), ("queue", "list"), ("queue", "list", "--state", "done"),
                        ("queue", "retry", "--domain", self.domain), ("service", "status"), ("token", "list"), ("token", "whoami"),
                        ("key", "rotate"), ("audit", "list")):
            with self.subTest(command):
                read = [parse(self.ctl("-o", form, *command, stdin=b"a password\n").stdout)
                        for form, parse in (("json", json.loads), ("yaml", yaml.safe_load))]
                self.assertEqual(type(read[0]), type(read[1]))
                row = [value[0] if isinstance(value, list) and value else value for value in read]
                if isinstance(row[0], dict):
                    self.assertEqual(list(row[0]), list(row[1]), "the same fields in the same order")
                table = self.ctl(*command, stdin=b"a password\n").stdout.decode()
                self.assertTrue(table.strip(), "a table for people")
                self.assertNotIn("{", table)

    def test_helpful_where_the_server_cannot_be_reached(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # nobody listens
            down = self.ctl("--server", f"127.0.0.1:{taken.getsockname()[1]}", "domain", "list", expect=UNREACHABLE).stderr
        self.assertIn(b"is admin running", down)
        other = self.path("other-ca.pem")
        self.run_program("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                         self.path("key.pem"), "-out", other, "-days", "2", "-subj", "/CN=another authority")
        wrong = self.ctl("--ca-file", other, "domain", "list", expect=UNREACHABLE).stderr
        self.assertIn(b"--ca-file", wrong)
        self.assertIn(b"cannot read", self.ctl("--ca-file", "/nowhere.pem", "domain", "list", expect=USAGE).stderr)
        token = self.ctl("domain", "list", expect=DENIED, token="mpt_wrong").stderr
        self.assertIn(b"--token-file", token)

    def test_formats_and_completion(self):
        self.make_domain()
        self.assertIn(b"DOMAIN", self.ctl("domain", "list").stdout)
        self.assertIn(self.domain.encode(), self.ctl("-o", "yaml", "domain", "list").stdout)
        script = self.ctl("completion", "bash").stdout.decode() + '\nCOMP_WORDS=(merpatictl account cr); COMP_CWORD=2\n_merpatictl; echo "${COMPREPLY[@]}"'
        self.assertEqual(self.run_program("bash", "-c", script).stdout.split(), [b"create", b"create-many"])
        if shutil.which("zsh"):
            self.path("merpatictl.zsh", self.ctl("completion", "zsh").stdout)
            script = "autoload -U +X compinit && compinit -u; source ./merpatictl.zsh; print -r -- $_comps[merpatictl]"
            self.assertIn(b"merpatictl", self.run_program("zsh", "-fc", script).stdout)
