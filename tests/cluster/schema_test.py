#!/usr/bin/python3
"""helm upgrade with other values and over a newer schema; helm rollback; a release that is too old says which to run."""
import time
import unittest

from cluster import CHART, Release, main
from mail import inbox, send


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = Release("schema")
        cls.enterClassContext(cls.release)
        cls.release.install()
        cls.target = cls.release.make_accounts(5)

    def sql(self, text):
        return self.release.kubectl("exec", f"{self.release.full}-postgresql-0", "-c", "postgresql", "--", "bash", "-c",
                                    'PATH=$PATH:$(echo /usr/lib/postgresql/*/bin) psql -qAtX -h /tmp -U postgres -d merpati '
                                    f'-v ON_ERROR_STOP=1 -c "{text}"').strip()

    def newer_schema(self, min_compatible):
        """As if release 9.9.9 had been here."""
        self.sql("alter table store.schema_version add column if not exists release text not null default ''")
        self.sql("insert into store.schema_version (number, name, min_compatible, release) values "
                 f"(9000, 'from_the_future', {min_compatible}, '9.9.9') on conflict (number) do update "
                 f"set min_compatible = {min_compatible}")

    def works(self, mark):
        user = self.target.account()
        send(self.target, user, mark)
        self.assertIn(mark.encode(), inbox(self.target, user)[0])

    def test_1_other_values(self):
        token = self.release.secret("admin-token", "token")
        self.release.upgrade("services.imap.config.max_failed_logins=7", "defaults.replicas=2")
        self.assertEqual(len(self.release.pods("imap")), 2)
        self.assertEqual(self.release.secret("admin-token", "token"), token, "generated once")
        self.works("after-upgrade")

    def test_2_rollback_over_a_newer_schema_that_allows_it(self):
        self.newer_schema(min_compatible=1)
        self.release.helm("rollback", self.release.name, "1", "--wait", "--timeout", "300s", timeout=400)
        self.assertEqual(len(self.release.pods("imap")), 1)
        self.works("after-rollback")

    def test_3_a_release_that_is_too_old_says_so(self):
        self.newer_schema(min_compatible=9000)
        self.release.helm("upgrade", self.release.name, str(CHART), *self.release.values("services.smtp.replicas=2"))
        job = self.release.names("job", "app.kubernetes.io/component=migrate")[-1]
        give_up, logs = time.monotonic() + 60, ""
        while "release 9.9.9" not in logs and time.monotonic() < give_up:
            time.sleep(0.5)
            logs = self.release.kubectl("logs", f"job/{job}", check=False)
        self.assertIn("made by release 9.9.9", logs)
        self.assertIn("run release 9.9.9 or newer", logs)
        self.works("what-runs-goes-on")


if __name__ == "__main__":
    main()
