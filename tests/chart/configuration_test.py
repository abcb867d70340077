"""Every configuration that the chart renders is one that its program accepts."""
import base64
import os
import pathlib
import subprocess
import tempfile
import unittest

import yaml

from chart import NAME, ROOT, SERVICES, configuration, main, of_kind, profiles, render

PROGRAM = ROOT / "build" / os.environ.get("MERPATI_PRESET", "dev") / "bin/merpati"


class Configuration(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def merpati(self, *arguments):
        environment = {**os.environ, "MERPATI_STORE__OBJECTS__S3__ACCESS_KEY_ID": "id",
                       "MERPATI_STORE__OBJECTS__S3__SECRET_ACCESS_KEY": "key"}
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, env=environment, check=False,
                              timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)

    def mount(self, objects, name):
        """The pod's files below a folder of ours: certificates, and Secrets with something in them."""
        spec = of_kind(objects, "Deployment")[name]["spec"]["template"]["spec"]
        etc = self.folder / name
        for place in ("secrets", "tls", "mail-tls"):
            (etc / place).mkdir(parents=True)
        for volume in spec["volumes"]:
            if volume["name"] == "secrets":
                for source in volume["projected"]["sources"]:
                    made = of_kind(objects, "Secret").get(source["secret"]["name"], {}).get("data", {})
                    for item in source["secret"]["items"]:
                        # What the chart makes by itself, else something in the form of a key.
                        secret = base64.b64decode(made[item["key"]]) if item["key"] in made else base64.b64encode(bytes(32))
                        (etc / "secrets" / item["path"]).write_bytes(secret)
            elif volume["name"] in ("tls", "mail-tls"):
                for item in volume["secret"]["items"]:
                    certificate = self.folder / "certs/smtp" / item["key"]
                    (etc / volume["name"] / item["path"]).write_text(certificate.read_text())
        text = configuration(objects, name)
        (etc / "merpati.yaml").write_text(text.replace("/etc/merpati/", f"{etc}/"))
        return etc / "merpati.yaml"

    def test_services(self):
        self.merpati("certs", "--directory", str(self.folder / "certs"))
        traced = ["--set", "config.otlp.endpoint=collector:4317,config.trace_events.keep=48h", "--set-json",
                  "config.otlp.ratio=0.1", "--set",
                  "otlp.caSecret=collector,otlp.headersSecret=collector"]
        for profile, arguments in [*profiles(), ("traced", traced)]:
            objects = render("--set", "fullnameOverride=" + profile, *arguments)
            cells = [name.removeprefix(f"{profile}-") for name in of_kind(objects, "Deployment") if "-store-" in name]
            self.assertEqual(cells, ["store-south"] if profile == "cells" else [])
            for component in [*SERVICES, *cells]:
                with self.subTest(profile=profile, component=component):
                    service = "store" if component in cells else component
                    config = str(self.mount(objects, f"{profile}-{component}"))
                    self.merpati(service, "--check-config", "--config", config)

    def test_peers_are_services_of_the_release(self):
        objects = render()
        services = of_kind(objects, "Service")
        for service, row in SERVICES.items():
            config = yaml.safe_load(configuration(objects, f"{NAME}-{service}"))
            self.assertEqual(set(config["peers"]), set(row["calls"]))
            for name, peer in config["peers"].items():
                host, port = peer["target"].split(":")
                self.assertEqual(services[host]["spec"]["clusterIP"], "None", "each replica's address is wanted")
                self.assertEqual(services[host]["spec"]["selector"]["app.kubernetes.io/component"], name)
                self.assertIn(int(port), [each["port"] for each in services[host]["spec"]["ports"]])

    def test_listeners_behind_a_balancer_want_its_header(self):
        objects = render("--set", "services.imap.proxyTrusted={10.0.0.0/8,fd00::/8}")
        config = yaml.safe_load(configuration(objects, f"{NAME}-imap"))
        self.assertEqual([each["proxy_trusted"] for each in config["imap"]["listeners"]], [["10.0.0.0/8", "fd00::/8"]] * 2)

    def test_migrations_and_certificates(self):
        objects = render()
        secrets = self.folder / "secrets"
        secrets.mkdir()
        for service, row in SERVICES.items():
            if row.get("database"):
                (secrets / f"{service}-dsn").write_text("host=nowhere")
        for name in ("migrate", "certs"):
            text = of_kind(objects, "ConfigMap")[f"{NAME}-{name}"]["data"]["merpati.yaml"]
            file = self.folder / f"{name}.yaml"
            file.write_text(text.replace("/etc/merpati/", f"{self.folder}/"))
            self.merpati(name, "--print-config", "--config", str(file))
        # The same list of certificates, written to a folder, is one that it accepts whole.
        self.merpati("certs", "--config", str(self.folder / "certs.yaml"), "--directory", str(self.folder / "made"))
        config = yaml.safe_load((self.folder / "certs.yaml").read_text())
        for certificate in config["certs"]["certificates"]:
            self.assertTrue((self.folder / "made" / certificate["name"] / "tls.crt").exists())


if __name__ == "__main__":
    main()
