"""The chart as tests see it: rendered objects, and the pods in them."""
import pathlib
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/merpati"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
SERVICES = yaml.safe_load((CHART / "files/services.yaml").read_text())
RELEASE = "m"
KUBERNETES = ["--kube-version", "1.28.0"]  # the oldest that the chart supports
NAME = "m-merpati"

sys.path.insert(0, str(ROOT / "tests/support"))
from not_run import main, need_programs  # noqa: E402


def helm(*arguments):
    need_programs("chart", "helm")
    return subprocess.run(["helm", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=120)


def template(*arguments):
    """What helm renders, as text; fails with helm's own words."""
    done = helm("template", RELEASE, str(CHART), "--namespace", "mail", *KUBERNETES, *arguments)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def render(*arguments):
    return [each for each in yaml.safe_load_all(template(*arguments)) if each]


def refusal(*arguments):
    """Why helm refuses to render."""
    done = helm("template", RELEASE, str(CHART), *KUBERNETES, *arguments)
    if done.returncode == 0:
        raise AssertionError(f"helm accepted {' '.join(arguments)}")
    return done.stderr


def profiles():
    """Every set of values that the repository offers: name and helm's arguments."""
    return [("evaluation", [])] + [(path.stem, ["-f", str(path)]) for path in EXAMPLES]


def of_kind(objects, kind):
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def configuration(objects, name):
    """merpati.yaml of a Deployment, as text."""
    return of_kind(objects, "Deployment")[name]["spec"]["template"]["metadata"]["annotations"]["merpati.yaml"]


def pods(objects):
    """(name, pod spec, pod labels) of whatever makes pods."""
    for each in objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "Pod":
            yield name, each["spec"], each["metadata"]["labels"]
        elif each["kind"] in ("Deployment", "StatefulSet", "Job"):
            template_of = each["spec"]["template"]
            yield name, template_of["spec"], template_of["metadata"]["labels"]
        elif each["kind"] == "CronJob":
            template_of = each["spec"]["jobTemplate"]["spec"]["template"]
            yield name, template_of["spec"], template_of["metadata"]["labels"]


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]
