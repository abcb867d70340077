#!/usr/bin/python3
"""./dev as a person uses it: up in its forms, what it prints, down, and what it says to mistakes."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

import not_run  # noqa: E402  (needs the path above)
from instance import ROOT, free_offset, is_free, read_env  # noqa: E402

BUILT = ["--no-build"] if os.environ.get("MERPATI_PRESET") else []  # ./dev test has built it
VARIABLES = ("HOST DOMAIN SMTP_PORT SUBMISSION_PORT SUBMISSIONS_PORT IMAP_PORT IMAPS_PORT POP3_PORT POP3S_PORT SIEVE_PORT ADMIN_PORT "
             "METRICS_PORT USER PASS USER_TEMPLATE CA_FILE").split()


class DevCommand(unittest.TestCase):
    def setUp(self):
        self.above = pathlib.Path(tempfile.mkdtemp(prefix="merpati-dev-", dir="/var/tmp"))
        self.above.chmod(0o755)
        self.states = []
        self.addCleanup(self.clean)

    def clean(self):
        for state in self.states:
            self.dev("down", "--state", state)
        shutil.rmtree(self.above, ignore_errors=True)

    def dev(self, *arguments, timeout=300):
        return subprocess.run([str(ROOT / "dev"), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False, cwd=ROOT)

    def state(self, name):
        self.states.append(self.above / name)
        return self.states[-1]

    def up(self, state, offset, *arguments):
        done = self.dev("up", "--detach", *BUILT, "--state", state, "--port-offset", offset, *arguments)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def refused(self, *arguments):
        done = self.dev(*arguments)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stdout

    @staticmethod
    def to_paste(printed):
        """The commands below Send:, Read: and Administer:."""
        return dict(re.findall(r"^(Send|Read|Administer):\n  (.*)$", printed, re.M))

    def shell(self, command):
        return subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False, cwd=ROOT)

    def read_until(self, command, word):
        give_up = time.monotonic() + 30
        while word not in (done := self.shell(command)).stdout:
            self.assertLess(time.monotonic(), give_up, done.stdout + done.stderr)
            time.sleep(0.1)

    def test_wrong_options_are_named(self):
        for arguments, word in [
                (["frob"], '"frob"'), (["up", "--frob"], '"--frob"'), (["up", "more"], '"more"'),
                (["up", "--port-offset"], "--port-offset needs a number"), (["up", "--port-offset", "x"], '"x"'),
                (["up", "--port-offset", "20000"], "15000"), (["up", "--accounts", "-1"], "--accounts needs a number"),
                (["up", "--state="], "--state needs a folder"), (["up", "--preset", "bogus"], "dev release"),
                (["up", "--no-build", "--preset", "tsan", "--state", self.above / "a'b"], "quote"),
                (["down", "--state", self.above / "none"], "there is no instance"), (["down", "more"], '"more"'),
                (["ctl", "--state", self.above / "none", "account", "list"], "there is no instance"),
                (["test", "bogus"], '"bogus"')]:
            with self.subTest(arguments):
                said = self.refused(*arguments)
                self.assertIn(word, said)
                self.assertNotRegex(said, r"\.sh: line", "the shell's own complaint")
        for arguments in ([], ["help"], ["up", "--help"]):
            self.assertIn("--port-offset N", self.dev(*arguments).stdout)

    def test_a_life(self):
        # A folder that was there keeps its mode, and may have a blank in its name.
        state, offset = self.state("my state"), free_offset()
        state.mkdir(mode=0o711)
        state.chmod(0o711)
        printed = self.up(state, offset, "--accounts", "2")
        self.assertEqual(state.stat().st_mode & 0o777, 0o711)
        env = read_env(state / "target.env")
        self.assertEqual([name for name in VARIABLES if not env.get(name)], [])
        sourced = self.shell(f"set -eu; . '{state}/target.env'; echo $USER_TEMPLATE $((SMTP_PORT - 2525)); test -r \"$CA_FILE\"")
        self.assertEqual((sourced.returncode, sourced.stdout), (0, f"u%d@example.test {offset}\n"), sourced.stderr)
        for secret in (env["PASS"], env["BOB_PASS"], str(offset + 2525), str(offset + 50051), "u1 to u2@example.test"):
            self.assertIn(secret, printed)
        paste = self.to_paste(printed)
        sent = self.shell(paste["Send"])
        self.assertEqual(sent.returncode, 0, sent.stderr)
        self.read_until(paste["Read"], "Hello Bob.")
        self.assertIn("u2@example.test", self.shell(paste["Administer"]).stdout)

        # Up once more is the same instance; in another form it is refused, and so is another one on its ports.
        self.assertEqual(self.to_paste(self.up(state, offset)), paste)
        down = "./dev down --state " + str(state).replace(" ", "\\ ")
        for more in (["--services"], ["--port-offset", offset - 100]):
            said = self.refused("up", "--detach", *BUILT, "--state", state, "--port-offset", offset, *more)
            self.assertIn(down, said)
        self.assertIn(down, self.refused("up", *BUILT, "--state", state, "--port-offset", offset), "Ctrl-C would stop it")
        said = self.refused("up", "--detach", *BUILT, "--state", self.state("other"), "--port-offset", offset)
        self.assertRegex(said, r"port \d+ is in use; --port-offset")
        self.assertEqual(self.dev("ctl", "--state", state, "account", "list", "example.test").returncode, 0, "it goes on")

        self.assertIn("stopped", self.dev("down", "--state", state).stdout)
        again = self.dev("down", "--state", state)
        self.assertEqual((again.returncode, "nothing runs" in again.stdout), (0, True), again.stdout)
        self.assertTrue(is_free(offset + 2525))
        self.up(state, offset)
        self.read_until(paste["Read"], "Hello Bob.")

    def test_side_by_side_with_a_state_that_the_database_cannot_reach(self):
        if os.geteuid() != 0:
            not_run.not_run("e2e", "only root's database runs as another user")
        first, offset = self.state("first"), free_offset()
        self.up(first, offset)
        closed = self.above / "closed"
        closed.mkdir(mode=0o700)
        second = self.state("closed/second")
        printed = self.up(second, free_offset(), "--services")
        moved = re.search(r"cannot enter .*: the state is in (/var/lib/merpati-dev/\S+)", printed)
        self.assertTrue(moved, printed)
        self.addCleanup(shutil.rmtree, moved[1], ignore_errors=True)
        self.assertEqual(list(closed.iterdir()), [])
        self.assertIn("filter", self.dev("ctl", "--state", second, "service", "status").stdout)
        self.assertIn("merpati", self.dev("ctl", "--state", first, "service", "status").stdout)
        self.assertEqual(self.dev("down", "--state", second).returncode, 0)
        self.assertIn("nothing runs", self.dev("down", "--state", moved[1]).stdout)
        self.assertIn("merpati", self.dev("ctl", "--state", first, "service", "status").stdout, "the other one goes on")

    def test_ctrl_c_drains(self):
        state, offset = self.state("state"), free_offset()
        process = subprocess.Popen([str(ROOT / "dev"), "up", *BUILT, "--state", str(state), "--port-offset", str(offset)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   start_new_session=True, cwd=ROOT)
        self.addCleanup(process.stdout.close)
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("Ctrl-C"):
                break
        else:
            self.fail(printed)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, said)
        self.assertIn("draining", said)
        self.assertIn("stopped", said)
        log = (state / "logs" / "merpati.log").read_text()
        self.assertIn('"process_stopped"', log)
        self.assertTrue(is_free(offset + 2525))
        self.assertIn("nothing runs", self.dev("down", "--state", state).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
