"""Every pod is one that Pod Security "restricted" admits, and what an operator expects of a service's pods."""
import unittest

from chart import NAME, SERVICES, containers, main, of_kind, pods, profiles, render

# https://kubernetes.io/docs/concepts/security/pod-security-standards/, version 1.35.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
HOST = ("hostNetwork", "hostPID", "hostIPC", "hostUsers")


class Pods(unittest.TestCase):
    def each(self):
        for profile, arguments in profiles():
            for name, spec, labels in pods(render(*arguments)):
                with self.subTest(profile=profile, pod=name):
                    yield name, spec, labels

    def test_restricted(self):
        for _, spec, _ in self.each():
            self.assertFalse([key for key in HOST if spec.get(key)])
            security = spec["securityContext"]
            self.assertIs(security["runAsNonRoot"], True)
            self.assertGreater(security["runAsUser"], 0)
            self.assertEqual(security["seccompProfile"]["type"], "RuntimeDefault")
            self.assertNotIn("sysctls", security)
            for volume in spec.get("volumes", []):
                self.assertTrue(set(volume) - {"name"} <= VOLUMES, volume)
            for container in containers(spec):
                own = container["securityContext"]
                self.assertIs(own["allowPrivilegeEscalation"], False)
                self.assertEqual(own["capabilities"], {"drop": ["ALL"]})
                self.assertNotIn("privileged", own)
                self.assertNotIn("runAsUser", own)
                self.assertFalse([port for port in container.get("ports", []) if "hostPort" in port])

    def test_read_only_bounded_and_without_the_variables_of_services(self):
        for _, spec, _ in self.each():
            self.assertIs(spec["enableServiceLinks"], False)  # MERPATI_SMTP_PORT would be read as configuration
            for container in containers(spec):
                self.assertIs(container["securityContext"]["readOnlyRootFilesystem"], True)
                self.assertIn("memory", container["resources"]["limits"])
                self.assertIn("cpu", container["resources"]["requests"])

    def test_only_certs_has_a_token(self):
        for name, spec, labels in self.each():
            certs = labels["app.kubernetes.io/component"] == "certs"
            self.assertIs(spec["automountServiceAccountToken"], certs)
            self.assertEqual(spec["serviceAccountName"], f"{NAME}-certs" if certs else NAME)

    def test_the_role_of_certs_names_its_secrets(self):
        objects = render()
        role = of_kind(objects, "Role")[f"{NAME}-certs"]
        self.assertEqual(len(role["rules"]), 1)
        rule = role["rules"][0]
        self.assertEqual((rule["apiGroups"], rule["resources"], rule["verbs"]), ([""], ["secrets"], ["get", "update"]))
        mounted = {volume["secret"]["secretName"] for _, spec, _ in pods(objects) for volume in spec.get("volumes", [])
                   if volume["name"] in ("tls", "mail-tls")}
        self.assertEqual(set(rule["resourceNames"]), mounted | {f"{NAME}-authority"})
        self.assertLessEqual(set(rule["resourceNames"]), set(of_kind(objects, "Secret")))
        for kind in ("ClusterRole", "ClusterRoleBinding"):
            self.assertFalse(of_kind(objects, kind))

    def test_probes(self):
        for name, deployment in of_kind(render(), "Deployment").items():
            with self.subTest(name):
                container = deployment["spec"]["template"]["spec"]["containers"][0]
                paths = [container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")]
                self.assertEqual(paths, ["/readyz", "/livez", "/readyz"])
                startup = container["startupProbe"]
                self.assertGreaterEqual(startup["periodSeconds"] * startup["failureThreshold"], 300)

    def test_those_with_a_database_wait_for_its_schema(self):
        for service, row in SERVICES.items():
            spec = of_kind(render(), "Deployment")[f"{NAME}-{service}"]["spec"]["template"]["spec"]
            waits = [c["command"][:3] for c in spec.get("initContainers", [])]
            self.assertEqual(waits, [["merpati", "migrate", "--wait"]] if row.get("database") else [])

    def test_the_migration_is_named_after_the_revision(self):
        self.assertIn(f"{NAME}-migrate-1", of_kind(render(), "Job"))

    def test_disruption_budgets_and_spread(self):
        objects = render("--set", "defaults.replicas=3")
        budgets = of_kind(objects, "PodDisruptionBudget")
        for name, deployment in of_kind(objects, "Deployment").items():
            with self.subTest(name):
                selector = deployment["spec"]["selector"]
                self.assertEqual(budgets[name]["spec"]["selector"], selector)
                spec = deployment["spec"]["template"]["spec"]
                self.assertEqual([c["whenUnsatisfiable"] for c in spec["topologySpreadConstraints"]],
                                 ["ScheduleAnyway", "ScheduleAnyway"])

    def test_each_service_gets_its_own_secrets_only(self):
        """An edge holds no key and no connection string."""
        deployments = of_kind(render(), "Deployment")
        for service, row in SERVICES.items():
            spec = deployments[f"{NAME}-{service}"]["spec"]["template"]["spec"]
            files = {item["path"] for volume in spec["volumes"] if volume["name"] == "secrets"
                     for source in volume["projected"]["sources"] for item in source["secret"]["items"]}
            expected = {f"{service}-dsn"} if row.get("database") else set()
            expected |= {"auth": {"master-key"}, "admin": {"admin-token"}}.get(service, set())
            self.assertEqual(files, expected)
            variables = [v["name"] for v in spec["containers"][0].get("env", [])]
            self.assertEqual(bool(variables), service == "store")


if __name__ == "__main__":
    main()
