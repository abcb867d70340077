"""docker/compose.yaml, as people without a cluster use it."""
import os
import pathlib
import shutil
import smtplib
import subprocess
import tempfile
import time
import unittest

import mail_corpus
import not_run
from docker_cli import docker, succeeds
from instance import ROOT, Target, free_ports
from ledger import Work

PORTS = ("SMTP", "SUBMISSION", "SUBMISSIONS", "POP3", "POP3S", "IMAP", "IMAPS", "SIEVE", "ADMIN")


def compose_command():
    if succeeds("compose", "version"):
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


class Compose(unittest.TestCase):
    tag = None

    def setUp(self):
        self.command = compose_command()
        if not self.command:
            not_run.not_run("containers", "neither docker compose nor docker-compose is installed")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="merpati-compose-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        # The folder as it is in a checkout, so that secrets that are there are neither used nor changed.
        shutil.copytree(ROOT / "docker", self.folder / "docker", ignore=shutil.ignore_patterns("secrets"))
        (self.folder / "tools/dev").mkdir(parents=True)
        for name in ("common.sh", "certificates.sh"):
            shutil.copy(ROOT / "tools/dev" / name, self.folder / "tools/dev")
        self.ports = dict(zip(PORTS, free_ports(len(PORTS))))
        self.environment = dict(os.environ, COMPOSE_PROJECT_NAME=f"merpati-compose-{os.getpid()}", MERPATI_TAG=self.tag,
                                MERPATI_POSTGRES_IMAGE=f"merpati-postgres:{self.tag}", MERPATI_S3_IMAGE=f"merpati-s3:{self.tag}",
                                **{f"MERPATI_{name}_PORT": str(port) for name, port in self.ports.items()})
        subprocess.run([self.folder / "docker/compose/prepare"], check=True, env=self.environment)
        self.addCleanup(self.compose, "down", "-v", check=False)

    def compose(self, *arguments, check=True, stdin=""):
        done = subprocess.run([*self.command, *arguments], cwd=self.folder / "docker", env=self.environment, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
        if check and done.returncode != 0:
            self.fail(f"compose {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
        return done.stdout

    @staticmethod
    def state(container):
        return docker("inspect", "-f", "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}"
                      "{{.State.ExitCode}}{{end}}", container)

    def wait_healthy(self):
        give_up = time.monotonic() + 180
        for container in self.compose("ps", "-q").split():
            while (state := self.state(container)).endswith("starting") and time.monotonic() < give_up:
                time.sleep(0.2)
            if not state.startswith("exited 0"):
                self.assertIn(state, ("running healthy", "running 0"), docker("logs", "--tail", "10", container))

    def test_mail_goes_in_and_comes_out_also_after_a_restart(self):
        self.compose("up", "-d")
        self.wait_healthy()
        self.compose("run", "--rm", "-T", "ctl", "domain", "create", "example.test")
        self.compose("run", "--rm", "-T", "ctl", "account", "create", "alice@example.test", "--password-stdin", stdin="pass 4711")
        message = mail_corpus.attachment("large", 200_000)
        with smtplib.SMTP("localhost", self.ports["SMTP"], timeout=60) as client:
            client.ehlo("sender.test")
            client.sendmail("anna@sender.test", ["alice@example.test"], message)
        self.assertTrue(self.only_message().endswith(message))
        self.compose("down")  # the volumes stay
        self.compose("up", "-d")
        self.wait_healthy()
        self.assertTrue(self.only_message().endswith(message))

    def only_message(self):
        env = {f"{name}_PORT": str(port) for name, port in self.ports.items()}
        env.update(HOST="localhost", PASS="pass 4711", CA_FILE=str(self.folder / "docker/compose/secrets/authorities/ca.pem"))
        client = Work(Target(env), 0, 0, 0, 0).login("alice@example.test")
        try:
            self.assertEqual(client.select("INBOX", readonly=True)[1], [b"1"])
            return client.fetch("1", "(BODY.PEEK[])")[1][0][1]
        finally:
            client.shutdown()
