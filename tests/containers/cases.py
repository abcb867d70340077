"""What is shown with the set, in this order."""
import json
import os
import random
import smtplib
import subprocess
import sys
import time
import unittest

from container_set import BACKENDS, EDGES, REPLICAS
from docker_cli import docker, inspect
from instance import ROOT
from ledger import Work
from load import Load, told

SEED = int(os.environ.get("MERPATI_SEED") or random.randrange(1_000_000))


class Containers(unittest.TestCase):
    containers = None

    def show(self, problems):
        for problem in problems[:30]:
            print("PROBLEM " + problem, flush=True)
        self.assertEqual(len(problems), 0, "promises that were not kept")


class Image(Containers):
    def test_the_image_says_what_it_is(self):
        config = inspect("image", f"merpati:{self.containers.tag}")["Config"]
        self.assertRegex(config["User"], r"^[1-9][0-9]*:[1-9][0-9]*$")
        for label in ("title", "version", "revision"):
            self.assertTrue(config["Labels"][f"org.opencontainers.image.{label}"])
        text = docker("run", "--rm", f"merpati:{self.containers.tag}", "cat", "/usr/local/share/merpati/sbom.spdx.json")
        sbom = json.loads(text)
        packages = {package["name"]: package["versionInfo"] for package in sbom["packages"]}
        installed = docker("run", "--rm", f"merpati:{self.containers.tag}", "dpkg-query", "-W", "-f", "${Package} ${Version}\n")
        for line in installed.splitlines():
            name, version = line.split()
            self.assertEqual(packages.get(name), version)
        linked = {relation["relatedSpdxElement"] for relation in sbom["relationships"]
                  if relation["relationshipType"] == "DYNAMIC_LINK"}
        self.assertIn("SPDXRef-libssl3", linked)

    def test_services_are_the_first_process_and_may_do_nothing_else(self):
        for short in self.containers.replicas():
            service = short.split("-")[0]
            processes = docker("top", self.containers.name(short), "-o", "pid,uid,args").splitlines()[1:]
            self.assertEqual([line.split(maxsplit=2)[1:] for line in processes], [["65532", f"merpati {service}"]])
            host = inspect("container", self.containers.name(short))["HostConfig"]
            self.assertTrue(host["ReadonlyRootfs"])
            self.assertEqual(host["CapDrop"], ["ALL"])

    def test_any_numeric_user_will_do(self):
        text = docker("run", "--rm", "--read-only", "--cap-drop", "ALL", "--user", "12345:23456", "-v",
                      f"{ROOT}/docker/compose/merpati.yaml:/etc/merpati/merpati.yaml:ro", "-v",
                      f"{self.containers.secrets}/filter:/run/merpati:ro", "-e", "MERPATI_FILTER__DATABASE__DSN=host=nowhere",
                      f"merpati:{self.containers.tag}", "merpati", "filter", "--check-config")
        self.assertIn("can be used", text)


class Mail(Containers):
    def test_real_mail_programs_through_the_balancer(self):
        environment = dict(os.environ, MERPATI_TARGET_ENV=str(self.containers.folder / "target.env"))
        done = subprocess.run([sys.executable, ROOT / "tests/e2e/run.py"], env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800, check=False)
        print(done.stdout, flush=True)
        self.assertEqual(done.returncode, 0)

    def received_from(self, host, port):
        user = "alice@example.test"
        with smtplib.SMTP(host, port, timeout=60) as client:
            client.ehlo("client.test")
            own = client.sock.getsockname()[0]
            client.sendmail("anna@sender.test", [user], b"From: anna@sender.test\r\nDate: Mon, 02 Nov 2026 10:11:12 +0100\r\n"
                            b"Message-ID: <%d.%d@client.test>\r\nSubject: who\r\n\r\nwho\r\n" % (port, random.getrandbits(60)))
        client = Work(self.containers.target, 0, 0, 0, 0).login(user)
        try:
            count = int(client.select("INBOX", readonly=True)[1][0])
            return own, client.fetch(str(count), "(BODY.PEEK[HEADER.FIELDS (RECEIVED)])")[1][0][1].decode()
        finally:
            client.shutdown()

    def test_received_names_the_client_and_not_the_balancer(self):
        # Over the services' network, from the host's own address on it; and through Docker's publishing of ports, where the
        # balancer's client is the gateway of the other network.
        own, received = self.received_from(self.containers.address(10), 2525)
        self.assertEqual(own, self.containers.address(1))
        self.assertIn(f"[{own}]", received)
        self.assertNotIn(self.containers.address(10), received)
        _, received = self.received_from("localhost", self.containers.published["SMTP"])
        self.assertIn(f"[{self.containers.gateway_of('front')}]", received)

    def test_only_the_balancer_may_name_clients(self):
        address = self.containers.address(self.containers.fixed_number("smtp", 1))
        client = smtplib.SMTP(timeout=30)
        client._host = address
        client.sock = client._get_socket(address, 2525, 30)
        client.sock.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 25\r\n")
        code, text = client.getreply()
        self.assertEqual(code, 220, "a client without the balancer is greeted")
        self.assertGreaterEqual(client.getreply()[0], 500, "and its header is a command that does not exist")
        client.close()


class Kills(Containers):
    def test_kill_of_every_container_in_turn(self):
        rng = random.Random(SEED)
        victims = self.containers.everybody()
        rng.shuffle(victims)
        with Load(self.containers, "kill", seed=SEED) as load:
            for victim in victims:
                self.containers.kill(victim)
                load.progress(rng.choice([0, 0, 5]) if victim not in ("postgres", "s3") else 0)
                self.containers.start_again(victim)
                self.containers.wait_ready(victim)
                told(f"killed {victim}", load.progress())
        self.show(load.problems)


class Partitions(Containers):
    """One replica of each service without a network, or without a processor: the other goes on meanwhile."""

    def test_partition_of_one_replica_of_each(self):
        self.disturb("cut", self.containers.partition, self.containers.heal)

    def test_pause_of_one_replica_of_each(self):
        self.disturb("pause", self.containers.pause, self.containers.resume)

    def disturb(self, prefix, begin, end):
        rng = random.Random(SEED)
        with Load(self.containers, prefix, seed=SEED) as load:
            for service in BACKENDS + EDGES:
                victim = f"{service}-{rng.choice(REPLICAS)}"
                begin(victim)
                told(f"{prefix} {victim}", load.progress())
                end(victim)
                self.containers.wait_ready(victim)
                load.progress()
            for victim in ("postgres", "s3"):
                begin(victim)
                away = rng.uniform(1, 4)
                time.sleep(away)
                end(victim)
                told(f"{prefix} {victim} for {away:.1f} s", load.progress())
        self.show(load.problems)


class Rolls(Containers):
    def test_roll_every_container_under_load(self):
        with Load(self.containers, "roll", seed=SEED) as load:
            for short in self.containers.replicas():
                code = self.containers.replace(short)
                if code != 0:
                    load.problems.append(f"{short} ended with {code} after SIGTERM")
                told(f"replaced {short}", load.progress())
            # An APPEND may cross the BYE of a session that ends at a command boundary; DATA is never cut.
            cut = load.count("in_doubt", without=("append",))
            if cut:
                load.problems.append(f"{cut} SMTP transactions were cut after DATA had begun")
        self.show(load.problems)


CASES = (Image, Mail, Rolls, Kills, Partitions)
