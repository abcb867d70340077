"""The network policies say what the authorization table says: whoever may call a service reaches it, and nobody else."""
import re
import unittest

from chart import ROOT, SERVICES, main, of_kind, profiles, render

TABLE = ROOT / "libs/rpc/src/authorization_table.cpp"
GRPC = 50051
COMPONENT = "app.kubernetes.io/component"


def authorization_table():
    """callee -> roles that may call some method of it, read from the source."""
    text = TABLE.read_text()
    sets = {"kNobody": set()}
    for name, body in re.findall(r"constexpr RoleSet (\w+)\{([^}]*)\};", text):
        sets[name] = {role.strip().removeprefix("k").lower() for role in body.split(",")}
    callers = {service: set() for service in SERVICES}
    rows = re.findall(r'\{"/merpati\.(\w+)\.v1\.(\w+)/\w+",\s*((?:\{[^}]*\}|\w+)(?:,\s*(?:\{[^}]*\}|\w+))*)\}', text)
    assert len(rows) == text.count('{"/merpati.'), "the table's form has changed"
    for package, _, roles in rows:
        found = set()
        for part in re.findall(r"\{[^}]*\}|\w+", roles):
            if part.startswith("{"):
                found |= {role.strip().removeprefix("k").lower() for role in part.strip("{}").split(",")}
            else:
                found |= sets.get(part, set())  # a scope otherwise
        if package == "rpc":
            continue  # the Mux stream: its calls are checked one by one
        # Every process tells its status; store and queue keep what happened to messages.
        for service in {"runtime": SERVICES, "trace": ["store", "queue"]}.get(package, [package]):
            callers[service] |= found
    # A service that calls itself does so in its own process, but for admin, which asks its other replicas how they are;
    # people reach it by its own rule.
    return {service: (roles & SERVICES.keys()) - ({service} - {"admin"}) for service, roles in callers.items()}


def components(peers):
    return {peer["podSelector"]["matchLabels"][COMPONENT] for peer in peers or []}


def has_port(rule, port):
    return port in [each["port"] for each in rule.get("ports", [])]


def is_cell(component):
    return (component or "").startswith("store-")


def service_of(component):
    """store-NAME is the store of a further cell."""
    return "store" if is_cell(component) else component


class Policies(unittest.TestCase):
    def policies(self, *arguments):
        found = {}
        for policy in of_kind(render(*arguments), "NetworkPolicy").values():
            selector = policy["spec"]["podSelector"]["matchLabels"]
            found[selector.get(COMPONENT)] = policy["spec"]
        return found

    def test_who_may_call_is_who_reaches(self):
        expected = authorization_table()
        self.assertTrue(all(expected[service] for service in SERVICES if service != "admin"))
        for profile, arguments in profiles():
            policies = self.policies(*arguments)
            for callee in [*SERVICES, *filter(is_cell, policies)]:
                with self.subTest(profile=profile, callee=callee):
                    rules = [rule for rule in policies[callee]["ingress"] if has_port(rule, GRPC) and "from" in rule]
                    callers = set().union(*(components(rule["from"]) for rule in rules))
                    self.assertEqual({service_of(each) for each in callers}, expected[service_of(callee)])

    def test_every_cell_is_reached_by_those_who_call_store(self):
        policies = self.policies("--set", "stores[0].name=a,stores[1].name=b,stores[2].name=c")
        for caller in (each for each in SERVICES if "store" in SERVICES[each]["calls"]):
            rules = [rule for rule in policies[caller]["egress"] if has_port(rule, GRPC)]
            self.assertLess({"store", "store-b", "store-c"}, components(rules[0]["to"]) | {"-"})
            for cell in ("store-b", "store-c"):
                rules = [rule for rule in policies[cell]["ingress"] if has_port(rule, GRPC) and "from" in rule]
                self.assertIn(caller, set().union(*(components(rule["from"]) for rule in rules)))

    def test_both_sides_agree(self):
        policies = self.policies()
        for caller in SERVICES:
            rules = [rule for rule in policies[caller]["egress"] if has_port(rule, GRPC)]
            self.assertEqual(len(rules), 1)
            self.assertEqual(components(rules[0]["to"]), set(SERVICES[caller]["calls"]))
            for callee in SERVICES:
                ingress = [rule for rule in policies[callee]["ingress"] if has_port(rule, GRPC) and "from" in rule]
                reached = any(caller in components(rule["from"]) for rule in ingress)
                self.assertEqual(reached, callee in SERVICES[caller]["calls"], f"{caller} -> {callee}")

    def test_what_is_not_named_reaches_nothing(self):
        default = self.policies()[None]
        self.assertEqual(default["policyTypes"], ["Ingress", "Egress"])
        self.assertNotIn("ingress", default)
        self.assertNotIn("egress", default)

    def test_only_listeners_and_admin_are_open_to_everybody(self):
        for service, row in SERVICES.items():
            expected = {listener["port"] for listener in row.get("listeners", [])} | {9090}
            if row["kind"] == "people":
                expected.add(GRPC)
            found = {port["port"] for rule in self.policies()[service]["ingress"] if "from" not in rule
                     for port in rule["ports"]}
            self.assertEqual(found, expected, service)

    def test_databases_are_reached_by_their_users_only(self):
        policies = self.policies()
        owners = {service for service, row in SERVICES.items() if row.get("database")}
        self.assertEqual(components(policies["postgresql"]["ingress"][0]["from"]), owners | {"migrate"})
        self.assertEqual(components(policies["objects"]["ingress"][0]["from"]), {"store"})
        for component, policy in policies.items():
            if component is None:
                continue
            reaches = {name for rule in policy.get("egress", []) for name in
                       components([p for p in rule.get("to", []) if COMPONENT in p.get("podSelector", {}).get("matchLabels", {})])}
            self.assertEqual("postgresql" in reaches, component in owners | {"migrate"}, component)
            self.assertEqual("objects" in reaches, component == "store", component)

    def test_only_the_queue_sends_mail(self):
        for component, policy in self.policies().items():
            sends = any(has_port(rule, 25) for rule in policy.get("egress", []))
            self.assertEqual(sends, component == "queue", component)

    def test_the_collector_of_traces_is_reached_where_there_is_one(self):
        for policy in self.policies().values():
            self.assertFalse([rule for rule in policy.get("egress", []) if has_port(rule, 4317)])
        policies = self.policies("--set", "config.otlp.endpoint=collector.tracing:4317", "--set-json",
                                 'networkPolicy.otlp.to=[{"ipBlock":{"cidr":"192.0.2.0/24"}}]')
        for service in SERVICES:
            rules = [rule for rule in policies[service]["egress"] if has_port(rule, 4317)]
            self.assertEqual([rule["to"] for rule in rules], [[{"ipBlock": {"cidr": "192.0.2.0/24"}}]], service)
        self.assertFalse([rule for rule in policies["migrate"]["egress"] if has_port(rule, 4317)])

    def test_scanners_are_reached_by_the_filter_where_there_are_some(self):
        for policy in self.policies().values():
            self.assertFalse([rule for rule in policy.get("egress", []) if has_port(rule, 3310)])
        policies = self.policies("--set", "services.filter.config.clamd.address=clamd.scan:3310", "--set-json",
                                 'networkPolicy.scanners.to=[{"ipBlock":{"cidr":"192.0.2.0/24"}}]')
        for service in SERVICES:
            rules = [rule for rule in policies[service]["egress"] if has_port(rule, 3310)]
            wanted = [[{"ipBlock": {"cidr": "192.0.2.0/24"}}]] if service == "filter" else []
            self.assertEqual([rule["to"] for rule in rules], wanted, service)
        policies = self.policies("--set-json", 'services.filter.config.milters=[{"name":"m","address":"inet:8891@milter"}]')
        self.assertTrue([rule for rule in policies["filter"]["egress"] if has_port(rule, 8891)])

    def test_everybody_may_ask_for_names(self):
        for component, policy in self.policies().items():
            if component in SERVICES or component in ("migrate", "certs", "test"):
                self.assertTrue(any(has_port(rule, 53) for rule in policy["egress"]), component)

    def test_where_to_can_be_narrowed(self):
        policies = self.policies("-f", str(ROOT / "helm/merpati/examples/egress-pool.yaml"))
        rules = [rule for rule in policies["queue"]["egress"] if has_port(rule, 587)]
        self.assertEqual(rules[0]["to"], [{"ipBlock": {"cidr": "192.0.2.0/24"}}])


if __name__ == "__main__":
    main()
