"""A release of the chart on a cluster, for tests: in a namespace of its own, restricted, with addresses that clients reach."""
import atexit
import base64
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/fault")]

from instance import Target  # noqa: E402
from not_run import main, need_programs, not_run  # noqa: E402

CHART = ROOT / "helm/merpati"
CTL = ROOT / "build" / os.environ.get("MERPATI_PRESET", "dev") / "bin/merpatictl"
IMAGES = ("merpati", "merpati-postgres", "merpati-s3")
PASSWORD = "correct horse 7"
WAIT = 180  # seconds in which an installation has to work


def run(*command, timeout=600, check=True, input=None):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, input=input)
    if check and done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)[:500]} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def use_cluster():
    """Puts the cluster's variables into the environment; NOT RUN where there is none."""
    if not os.environ.get("KUBECONFIG"):
        command = os.environ.get("MERPATI_CLUSTER_UP")
        if not command:
            not_run("cluster", "neither KUBECONFIG nor MERPATI_CLUSTER_UP is set (tests/cluster/README.md)")
        exports = run("bash", "-c", command, timeout=3600)
        for line in run("bash", "-c", f"{exports}\nenv -0").split("\0"):
            name, _, value = line.partition("=")
            if name in ("KUBECONFIG", "PATH"):
                os.environ[name] = value
    need_programs("cluster", "helm", "kubectl")


def version():
    return re.search(r"project\(merpati VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())[1]


def tag():
    return os.environ.get("MERPATI_CLUSTER_TAG") or version()


def bring_images(names=IMAGES):
    command = os.environ.get("MERPATI_CLUSTER_IMPORT")
    if not command:
        return
    for name in names:
        if subprocess.run(["docker", "image", "inspect", f"{name}:{tag()}"], capture_output=True, check=False).returncode:
            not_run("cluster", f"there is no image {name}:{tag()}; ./dev image makes it")
        run("bash", "-c", f"{command} {name}:{tag()}")


class ClusterTarget(Target):
    """Each edge has an address of its own."""

    def __init__(self, release, accounts, template):
        super().__init__({"PASS": PASSWORD, "DOMAIN": "example.test", "USER_TEMPLATE": template}, accounts=accounts)
        self.release = release

    def address(self, name):
        service, port = {"SMTP": ("smtp", 25), "SUBMISSION": ("smtp", 587), "SUBMISSIONS": ("smtp", 465),
                         "IMAP": ("imap", 143), "IMAPS": ("imap", 993), "POP3": ("pop3", 110),
                         "POP3S": ("pop3", 995), "SIEVE": ("sieve", 4190)}[name]
        return self.release.address(service), port


class Release:
    """`with Release("install") as release: release.install()`; the namespace goes when it ends."""

    def __init__(self, purpose, name="m"):
        use_cluster()
        bring_images()
        self.namespace, self.name = f"merpati-test-{purpose}", name
        self.full = f"{name}-merpati"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="merpati-cluster-"))
        self.addresses = {}

    def __enter__(self):
        self.remove()
        run("kubectl", "create", "namespace", self.namespace)
        run("kubectl", "label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted")
        atexit.register(self.remove)
        return self

    def __exit__(self, *_):
        if os.environ.get("MERPATI_CLUSTER_KEEP"):
            atexit.unregister(self.remove)
            return
        self.remove()
        atexit.unregister(self.remove)
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove(self):
        run("kubectl", "delete", "namespace", self.namespace, "--ignore-not-found", "--wait=true", timeout=300)

    # --- helm and kubectl

    def kubectl(self, *arguments, **options):
        return run("kubectl", "--namespace", self.namespace, *arguments, **options)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def names(self, kind, selector=""):
        return [each["metadata"]["name"] for each in self.get(kind, *(["-l", selector] if selector else []))["items"]]

    def pods(self, component):
        """Of those that run and are not on their way out."""
        items = self.get("pods", "-l", f"app.kubernetes.io/component={component}")["items"]
        return [each for each in items if "deletionTimestamp" not in each["metadata"]]

    def values(self, *more):
        every = [f"image.tag={tag()}"]
        if os.environ.get("MERPATI_CLUSTER_IMPORT"):
            every += [f"evaluation.postgresql.image=merpati-postgres:{tag()}", f"evaluation.objects.image=merpati-s3:{tag()}"]
        every += [f"services.{edge}.service.type=LoadBalancer" for edge in ("smtp", "imap", "pop3", "sieve", "admin")]
        return [word for value in (*every, *more) for word in ("--set", value)]

    def helm(self, *arguments, **options):
        return run("helm", "--namespace", self.namespace, *arguments, **options)

    def install(self, *more, timeout=WAIT):
        """Returns the seconds until mail went through."""
        begun = time.monotonic()
        self.helm("install", self.name, str(CHART), *self.values(*more), "--wait", "--timeout", f"{timeout}s",
                  timeout=timeout + 60)
        # With a PROXY header wanted only who sends one gets further.
        if any("proxyTrusted" in value for value in more):
            self.wait_answering()
        else:
            self.selftest()
        return time.monotonic() - begun

    def wait_answering(self, patience=60):
        """Until admin reaches auth: names of new Services take the cluster's DNS a moment."""
        give_up = time.monotonic() + patience
        while True:
            try:
                return self.ctl("domain", "list")
            except RuntimeError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.5)

    def selftest(self, patience=60):
        self.ctl("selftest", f"--smtp={self.address('smtp')}:25", f"--imap={self.address('imap')}:143",
                 f"--pop3={self.address('pop3')}:110", f"--patience={patience}")

    def upgrade(self, *more, timeout=300, check=True):
        return self.helm("upgrade", self.name, str(CHART), *self.values(*more), "--wait", "--timeout", f"{timeout}s",
                         timeout=timeout + 60, check=check)

    def wait_rolled_out(self, *components, timeout=300):
        for component in components or ("smtp", "pop3", "imap", "sieve", "auth", "store", "filter", "queue", "admin"):
            self.kubectl("rollout", "status", f"deployment/{self.full}-{component}", f"--timeout={timeout}s",
                         timeout=timeout + 30)

    # --- from outside

    def address(self, component):
        """Of the load balancer."""
        if component not in self.addresses:
            give_up = time.monotonic() + 60
            while True:
                ingress = self.get("service", f"{self.full}-{component}")["status"].get("loadBalancer", {}).get("ingress")
                if ingress:
                    self.addresses[component] = ingress[0].get("ip") or ingress[0]["hostname"]
                    break
                if time.monotonic() > give_up:
                    raise RuntimeError(f"the Service of {component} got no address")
                time.sleep(0.5)
        return self.addresses[component]

    def secret(self, name, key):
        return base64.b64decode(self.get("secret", f"{self.full}-{name}")["data"][key])

    def ctl(self, *arguments, check=True, input=None):
        ca, token = self.folder / "ca.crt", self.folder / "token"
        ca.write_bytes(self.secret("admin-tls", "ca.crt"))
        token.write_bytes(self.secret("admin-token", "token"))
        return run(str(CTL), "--server", f"{self.address('admin')}:50051", "--ca-file", str(ca), "--token-file", str(token),
                   *arguments, check=check, input=input)

    def make_accounts(self, count, prefix="u"):
        """Accounts prefix1 to prefixN@example.test. Each load wants its own: what others sent is nothing it knows of."""
        template = f"{prefix}%d@example.test"
        self.ctl("domain", "create", "example.test", "--if-missing")
        self.ctl("account", "create-many", template, "--count", str(count), "--password-stdin", input=PASSWORD + "\n")
        return ClusterTarget(self, count, template)
