"""The whole set as containers: PostgreSQL, Swift as S3, two replicas of every service, and a balancer before the edges and admin.

Services are on a network of their own from which nothing leaves the machine. The balancer is on it too, and on a second
network, on which Docker publishes its ports on loopback.
"""
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time

from docker_cli import DockerError, docker, inspect, succeeds
from instance import ROOT, Target, free_ports
from ledger import QUEUE_ENVIRONMENT, SINK_DOMAIN
from smtp_sink import Sink

BACKENDS = ("auth", "store", "filter", "queue", "admin")
EDGES = ("smtp", "pop3", "imap", "sieve")
REPLICAS = (1, 2)
LABEL = "merpati.test"
# Name in target.env, service, port of the container.
PORTS = (("SMTP", "smtp", 2525), ("SUBMISSION", "smtp", 2587), ("SUBMISSIONS", "smtp", 2465), ("POP3", "pop3", 2110),
         ("POP3S", "pop3", 2995), ("IMAP", "imap", 2143), ("IMAPS", "imap", 2993), ("SIEVE", "sieve", 4190),
         ("ADMIN", "admin", 50051))
LISTENERS = {"smtp": 3, "pop3": 2, "imap": 2, "sieve": 1}
PASSWORD = "horse-4711"
# In the container of the S3 endpoint: whether it answers, whatever it says.
ANSWERS = """import urllib.error, urllib.request
try:
    urllib.request.urlopen("http://127.0.0.1:7070/", timeout=2)
except urllib.error.HTTPError:
    pass"""
# What every container of the platform runs with.
CONFINED = ("--read-only", "--tmpfs", "/tmp:noexec", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")

BALANCER = """global
  maxconn 4000
defaults
  mode tcp
  timeout connect 3s
  timeout client 30m
  timeout server 30m
  timeout check 2s
  retries 3
  option redispatch
  option httpchk GET /readyz
  default-server check port 9090 inter 300ms fastinter 300ms downinter 300ms fall 2 rise 1
"""


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class ContainerSet:
    def __init__(self, tag, programs):
        self.tag, self.programs = tag, programs  # the images' tag; the folder with merpatictl
        self.id = f"merpati-test-{os.getpid()}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="merpati-containers-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.secrets = self.folder / "secrets"
        self.published = dict(zip((name for name, _, _ in PORTS), free_ports(len(PORTS))))
        self.target = self.sink = self.subnet = None
        self.started = {}  # container -> the arguments of its docker run

    # --- life

    def __enter__(self):
        try:
            self.up()
            return self
        except BaseException:
            self.down()
            raise

    def __exit__(self, *_):
        self.down()

    def up(self):
        say("starting the set")
        environment = dict(os.environ, MERPATI_NAMES="DNS:mail.example.test")
        subprocess.run([ROOT / "docker/compose/prepare", self.secrets], check=True, env=environment)
        self.make_networks()
        self.sink = Sink(self.address(1))
        self.start_database_and_objects()
        self.run_service("migrate", "migrate", command=("migrate",), detach=False)
        for service in BACKENDS + EDGES:
            for replica in REPLICAS:
                self.start_replica(service, replica)
        for name in self.replicas():
            self.wait_ready(name)
        self.start_balancer()
        self.make_people()

    def down(self):
        if os.environ.get("MERPATI_KEEP_STATE"):
            say(f"kept: docker ps --filter label={LABEL}={self.id}; {self.folder}")
            return
        if self.sink:
            self.sink.close()
        mine = ("--filter", f"label={LABEL}={self.id}", "-q")
        for container in docker("ps", "-a", *mine, check=False).split():
            docker("rm", "-fv", container, check=False)
        for kind in ("network", "volume"):
            for name in docker(kind, "ls", *mine, check=False).split():
                docker(kind, "rm", name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_networks(self):
        """A subnet of our own, so that the balancer has an address that the edges can be told to trust."""
        for _ in range(50):
            prefix = f"10.{random.randrange(100, 250)}.{random.randrange(256)}"
            if succeeds("network", "create", "--internal", "--label", f"{LABEL}={self.id}", "--subnet", f"{prefix}.0/24",
                        "--ip-range", f"{prefix}.128/25", "--gateway", f"{prefix}.1", f"{self.id}-services"):
                self.subnet = prefix
                break
        else:
            raise DockerError("no free subnet below 10.0.0.0/8; see docker network create")
        docker("network", "create", "--label", f"{LABEL}={self.id}", f"{self.id}-front")

    def address(self, number):
        return f"{self.subnet}.{number}"

    # --- containers

    def name(self, short):
        return f"{self.id}-{short}"

    def replicas(self):
        return [f"{service}-{replica}" for service in BACKENDS + EDGES for replica in REPLICAS]

    def everybody(self):
        return ["postgres", "s3", *self.replicas()]

    def run(self, short, image, *arguments, options=(), detach=True):
        if detach:
            self.started[short] = (image, arguments, options)
        docker("run", "-d" if detach else "--rm", "--name", self.name(short), "--hostname", short, "--label",
               f"{LABEL}={self.id}", *options, image, *arguments)

    def volume(self, name):
        docker("volume", "create", "--label", f"{LABEL}={self.id}", self.name(name))
        return self.name(name)

    def start_database_and_objects(self):
        network = ("--network", self.name("services"))
        self.run("postgres", f"merpati-postgres:{self.tag}", "-c", "max_connections=300",
                 options=(*network, *CONFINED, "--network-alias", "postgres", "--tmpfs", "/var/run/postgresql:mode=1777",
                          "-v", f"{self.volume('database')}:/var/lib/postgresql/data",
                          "-v", f"{self.secrets}/postgres:/run/secrets:ro",
                          "-v", f"{ROOT}/docker/compose/make-roles.sh:/docker-entrypoint-initdb.d/make-roles.sh:ro",
                          "-e", "POSTGRES_PASSWORD_FILE=/run/secrets/password", "-e", "POSTGRES_DB=merpati"))
        shutil.copytree(ROOT / "tests/containers/swift", self.folder / "swift")
        shutil.copy2(ROOT / "tests/support/swift.py", self.folder / "swift")
        self.build("merpati-swift", self.folder / "swift")
        self.run("s3", f"merpati-swift:{self.tag}",
                 options=(*network, *CONFINED, "--network-alias", "s3", "-v", f"{self.volume('objects')}:/data"))
        self.wait_ready("postgres")
        self.wait_ready("s3")

    def build(self, image, folder):
        """An image that only the suite needs, on the base of the platform's."""
        base = inspect("image", f"merpati:{self.tag}")["Config"]["Labels"]["org.opencontainers.image.base.name"]
        docker("build", "--network", "host", "-q", "--build-arg", f"BASE={base}", "-t", f"{image}:{self.tag}", folder, timeout=600)

    def start_replica(self, service, replica):
        fixed = ()
        if service in EDGES or service == "admin":  # those the balancer knows
            fixed = ("--ip", self.address(self.fixed_number(service, replica)))
        self.run_service(f"{service}-{replica}", service, "--network-alias", service, *fixed)

    def fixed_number(self, service, replica):
        return 20 + 10 * (*EDGES, "admin").index(service) + replica

    def run_service(self, short, service, *options, command=None, detach=True):
        options = [*options, "--network", self.name("services"), *CONFINED, "-v",
                   f"{ROOT}/docker/compose/merpati.yaml:/etc/merpati/merpati.yaml:ro", "-v",
                   f"{self.secrets}/{service}:/run/merpati:ro"]
        for key, value in self.environment_of(service).items():
            options += ["-e", f"{key}={value}"]
        self.run(short, f"merpati:{self.tag}", "merpati", *(command or (service,)), options=options, detach=detach)

    def environment_of(self, service):
        out = {}
        if service in ("auth", "store", "filter", "queue", "admin"):
            out[f"MERPATI_{service.upper()}__DATABASE__DSN_FILE"] = "/run/merpati/dsn"
        if service == "migrate":
            for schema in ("auth", "store", "filter", "queue", "admin"):
                out[f"MERPATI_{schema.upper()}__DATABASE__DSN_FILE"] = f"/run/merpati/dsn-{schema}"
        if service == "auth":
            out["MERPATI_AUTH__MASTER_KEY_FILE"] = "/run/merpati/master-key"
            # The tests' logins that fail while auth is away must not slow down those that follow.
            out["MERPATI_AUTH__TRUSTED_ADDRESSES"] = '["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]'
        if service == "store":
            out["MERPATI_STORE__OBJECTS__S3__ACCESS_KEY_ID"] = "test:tester"  # of tests/support/swift.py
            out["MERPATI_STORE__OBJECTS__S3__SECRET_ACCESS_KEY"] = "testing"
        if service == "admin":
            out["MERPATI_ADMIN__BOOTSTRAP_TOKEN_FILE"] = "/run/merpati/token"
        if service == "queue":
            out.update(QUEUE_ENVIRONMENT)
            out["MERPATI_QUEUE__ROUTES"] = f'["{SINK_DOMAIN}={self.sink.address}:{self.sink.port}"]'
        if service in EDGES:
            section = f"MERPATI_{service.upper()}"
            for number in range(LISTENERS[service]):
                # Every client of the tests comes from one of two addresses.
                out[f"{section}__LISTENERS__{number}__MAX_CONNECTIONS_PER_ADDRESS"] = "600"
                out[f"{section}__LISTENERS__{number}__PROXY_TRUSTED"] = f'["{self.address(10)}/32"]'
        return out

    def start_balancer(self):
        text = BALANCER
        for name, service, port in PORTS:
            text += f"listen {name}\n  bind :{port}\n"
            for replica in REPLICAS:
                address = self.address(self.fixed_number(service, replica))
                proxy = "send-proxy-v2" if service in EDGES else ""
                text += f"  server {service}-{replica} {address}:{port} {proxy}\n"
        (self.folder / "balancer.cfg").write_text(text)
        self.build("merpati-balancer", ROOT / "tests/containers/balancer")
        publish = []
        for name, _, port in PORTS:
            publish += ["-p", f"127.0.0.1:{self.published[name]}:{port}"]
        self.run("balancer", f"merpati-balancer:{self.tag}",
                 options=("--network", self.name("front"), *publish, "-v", f"{self.folder}/balancer.cfg:/etc/balancer.cfg:ro"))
        docker("network", "connect", "--ip", self.address(10), self.name("services"), self.name("balancer"))
        self.wait_ready("balancer")

    # --- disturbances

    def kill(self, short):
        docker("kill", "-s", "KILL", self.name(short))

    def start_again(self, short):
        docker("start", self.name(short))

    def partition(self, short):
        docker("network", "disconnect", self.name("services"), self.name(short))

    def heal(self, short):
        _, _, options = self.started[short]
        keep = []
        for option in ("--network-alias", "--ip"):
            if option in options:
                keep += [option.replace("network-", ""), options[list(options).index(option) + 1]]
        docker("network", "connect", *keep, self.name("services"), self.name(short))

    def pause(self, short):
        docker("pause", self.name(short))

    def resume(self, short):
        docker("unpause", self.name(short))

    def replace(self, short):
        """Ends it as Kubernetes would, and starts another in its place; its exit code."""
        image, arguments, options = self.started[short]
        docker("stop", "-t", 60, self.name(short))
        code = inspect("container", self.name(short))["State"]["ExitCode"]
        docker("rm", "-v", self.name(short))
        self.run(short, image, *arguments, options=options)
        self.wait_ready(short)
        return code

    # --- looking

    def ready(self, short):
        if short == "postgres":
            return succeeds("exec", self.name(short), "pg_isready", "-q", "-h", "127.0.0.1")
        if short == "balancer":
            return self.is_greeted("IMAP") and self.is_greeted("POP3") and self.is_greeted("SMTP")
        if short == "s3":
            return succeeds("exec", self.name(short), "python3", "-c", ANSWERS)
        return succeeds("exec", self.name(short), "merpati", "ready")

    def is_greeted(self, name):
        """Whether a client of this port hears something from a replica."""
        try:
            with socket.create_connection(("127.0.0.1", self.published[name]), timeout=2) as client:
                return client.recv(1) != b""
        except OSError:
            return False

    def wait_ready(self, short, seconds=90):
        give_up = time.monotonic() + seconds
        while not self.ready(short):
            if time.monotonic() > give_up:
                raise DockerError(f"{short} is not ready after {seconds} s:\n{self.log(short)}")
            time.sleep(0.2)

    def log(self, short, lines=15):
        done = subprocess.run(["docker", "logs", "--tail", str(lines), self.name(short)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return done.stdout

    # --- people

    def make_people(self):
        (self.folder / "ctl.yaml").write_text(f'server: "localhost:{self.published["ADMIN"]}"\n'
                                              f'ca_file: "{self.secrets}/ctl/services-ca.pem"\n'
                                              f'token_file: "{self.secrets}/ctl/token"\n')
        self.ctl("domain", "create", "example.test")
        for name in ("alice", "bob"):
            self.ctl("account", "create", f"{name}@example.test", "--password-stdin", stdin=PASSWORD)
        self.make_accounts("u%d@example.test", 300)
        env = {f"{name}_PORT": self.published[name] for name, _, _ in PORTS}
        env.update(HOST="localhost", DOMAIN="example.test", USER="alice@example.test", PASS=PASSWORD,
                   BOB_PASS=PASSWORD, USER_TEMPLATE="u%d@example.test", CA_FILE=self.secrets / "authorities/ca.pem",
                   CTL_CONTEXT=self.folder / "ctl.yaml", CTL_PROGRAM=self.programs / "merpatictl", MODE="containers",
                   PLAINTEXT_LOGIN="no")
        (self.folder / "target.env").write_text("".join(f"{key}={value}\n" for key, value in env.items()))
        self.target = self.target_for("u%d@example.test")

    def ctl(self, *arguments, stdin=""):
        done = subprocess.run([self.programs / "merpatictl", "--config", self.folder / "ctl.yaml", *arguments], input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"merpatictl {' '.join(arguments)} ended with {done.returncode}: {done.stdout}")
        return done.stdout

    def make_accounts(self, template, count):
        self.ctl("account", "create-many", template, "--count", str(count), "--password-stdin", stdin=PASSWORD)

    def target_for(self, template):
        env = {f"{name}_PORT": str(port) for name, port in self.published.items()}
        env.update(HOST="localhost", PASS=PASSWORD, USER_TEMPLATE=template, CA_FILE=str(self.secrets / "authorities/ca.pem"))
        return Target(env)

    def gateway_of(self, network):
        return inspect("network", self.name(network))["IPAM"]["Config"][0]["Gateway"]
