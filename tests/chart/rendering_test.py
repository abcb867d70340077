"""The chart renders, and refuses what cannot work."""
import unittest

import yaml

from chart import CHART, EXAMPLES, KUBERNETES, NAME, SERVICES, configuration, helm, main, of_kind, profiles, refusal, render


class Rendering(unittest.TestCase):
    def test_lint(self):
        for name, arguments in profiles():
            with self.subTest(name):
                done = helm("lint", "--strict", str(CHART), *arguments)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_profile_has_every_service(self):
        for name, arguments in profiles():
            with self.subTest(name):
                objects = render(*arguments)
                names = [(each["kind"], each["metadata"]["name"]) for each in objects]
                self.assertEqual(len(names), len(set(names)), "an object is rendered twice")
                self.assertLessEqual({f"{NAME}-{service}" for service in SERVICES}, of_kind(objects, "Deployment").keys())

    def test_examples_are_there(self):
        self.assertLessEqual({"single-node", "three-zones", "egress-pool"}, {path.stem for path in EXAMPLES})

    def test_standard_ports_lead_to_the_listeners(self):
        services = of_kind(render(), "Service")
        deployments = of_kind(render(), "Deployment")
        found = {}
        for edge in ("smtp", "pop3", "imap", "sieve"):
            pod = deployments[f"{NAME}-{edge}"]["spec"]["template"]["spec"]
            numbers = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
            for port in services[f"{NAME}-{edge}"]["spec"]["ports"]:
                found[port["port"]] = numbers[port["targetPort"]]
        self.assertEqual(found, {25: 2525, 2525: 2525, 465: 2465, 587: 2587, 110: 2110, 995: 2995, 143: 2143, 993: 2993,
                                 4190: 4190})

    def test_an_autoscaler_owns_the_replicas(self):
        objects = render("--set", "services.imap.autoscaling.enabled=true", "--set",
                         "services.imap.autoscaling.sessions=500")
        deployments = of_kind(objects, "Deployment")
        self.assertNotIn("replicas", deployments[f"{NAME}-imap"]["spec"])
        self.assertIn("replicas", deployments[f"{NAME}-smtp"]["spec"])
        scaler = of_kind(objects, "HorizontalPodAutoscaler")[f"{NAME}-imap"]["spec"]
        self.assertEqual([metric["type"] for metric in scaler["metrics"]], ["Resource", "Pods"])
        self.assertEqual(scaler["metrics"][1]["pods"]["metric"]["name"], "merpati_imap_sessions")

    def test_typing_errors_are_refused(self):
        for mistake in ("services.smtp.replica=2", "service.smtp.replicas=2", "services.smpt.replicas=2",
                        "services.smtp.config.hostnam=x", "services.smtp.config.max_recipients=many",
                        "config.process.loop=1", "evaluation.enable=false", "image.tags=1", "networkPolicy.dns.port=53",
                        "services.smtp.service.externalTrafficPolicy=Locale", "services.imap.service.ports={smtp}",
                        "services.store.service.type=LoadBalancer", "gracePeriod.edges=5",
                        "config.otlp.endpoit=x", "otlp.endpoint=x", "config.trace_events.days=3"):
            with self.subTest(mistake):
                self.assertIn("values don't meet the specifications of the schema", refusal("--set", mistake))

    def test_secrets_do_not_go_into_config_maps(self):
        for key in ("auth.config.master_key", "queue.config.database.dsn", "store.config.objects.s3.secret_access_key"):
            with self.subTest(key):
                self.assertIn("not allowed", refusal("--set", f"services.{key}=x"))
        self.assertIn("not allowed", refusal("--set", "config.otlp.headers=x"))

    def test_what_cannot_work_is_refused_with_what_to_do(self):
        for values, answer in (
                (["evaluation.enabled=false"], "database.existingSecret is empty"),
                (["evaluation.enabled=false", "database.existingSecret=d"], "stores[0].objects needs endpoint"),
                (["database.existingSecret=d"], "set evaluation.enabled=false"),
                (["otlp.headersSecret=h"], "config.otlp.endpoint"),
                (["certManager.internal.enabled=true"], "certManager.internal.issuerRef.name"),
                (["stores[0].name=a", "stores[1].name=a"], "another cell a"),
                (["services.smtp.autoscaling.enabled=true", "services.smtp.autoscaling.cpu=0"], "nothing would ever scale"),
                (["services.smtp.disruptionBudget.minAvailable=1", "services.smtp.disruptionBudget.maxUnavailable=1"],
                 "not both")):
            with self.subTest(values):
                self.assertIn(answer, refusal(*(word for value in values for word in ("--set", value))))

    def test_secrets_outlive_the_release_unless_told_otherwise(self):
        for keep, expected in (("true", "keep"), ("false", None)):
            for name, secret in of_kind(render("--set", f"secrets.keep={keep}"), "Secret").items():
                with self.subTest(keep=keep, secret=name):
                    annotations = secret["metadata"].get("annotations", {})
                    self.assertEqual(annotations.get("helm.sh/resource-policy"), expected)
        sets = of_kind(render("--set", "evaluation.volumesOnUninstall=Delete"), "StatefulSet")
        self.assertEqual({each["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] for each in sets.values()},
                         {"Delete"})

    def test_the_grace_period_covers_what_the_process_needs(self):
        objects = render()
        for name, deployment in of_kind(objects, "Deployment").items():
            config = yaml.safe_load(configuration(objects, name))
            grace = int(config["process"]["grace_period"].removesuffix("s"))
            delay = int(config["process"]["endpoint_delay"].removesuffix("s"))
            # libs/runtime: the watchdog ends a process 10 s after its grace period.
            self.assertGreater(deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], grace + 10)
            self.assertGreater(grace, delay)

    def test_names_differ_between_releases(self):
        done = helm("template", "other", str(CHART), *KUBERNETES, "--set", "fullnameOverride=post")
        self.assertIn("name: post-smtp", done.stdout)

    def test_monitoring_is_there_when_asked_for(self):
        objects = render("--set", "monitoring.serviceMonitor.enabled=true,monitoring.prometheusRule.enabled=true,"
                                  "monitoring.dashboards.enabled=true")
        monitors = list(of_kind(objects, "ServiceMonitor").values())
        self.assertEqual([endpoint["honorLabels"] for each in monitors for endpoint in each["spec"]["endpoints"]], [True])
        monitored = {name for name, service in of_kind(objects, "Service").items()
                     if service["metadata"]["labels"].get("merpati.io/metrics") == "true"}
        self.assertEqual(len(monitored), len(SERVICES))
        alerts = list((CHART / "alerts").glob("*.yaml"))
        self.assertEqual(len(of_kind(objects, "PrometheusRule")), len(alerts))
        for rule in of_kind(objects, "PrometheusRule").values():
            self.assertTrue(rule["spec"]["groups"])


if __name__ == "__main__":
    main()
