"""What operators see: status, top, one message's trace, metrics."""
import json
import pathlib
import random
import smtplib
import sys
import threading
import time
import urllib.request
import uuid

from mail_test import MailTest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "golden"))
import metrics  # noqa: E402  (needs the path above)

NOT_FOUND, DENIED, USAGE = 3, 5, 2
SERVICES = {"auth", "store", "filter", "queue", "admin", "smtp", "pop3", "imap", "sieve"}


class Observability(MailTest):
    def setUp(self):
        super().setUp()
        if "CTL_CONTEXT" not in self.target.env:
            self.skipTest("the target has no CTL_CONTEXT")

    def ctl(self, *arguments, expect=0, token=None):
        env = {"MERPATI_TOKEN": token} if token else {}
        done = self.run_program(self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], *arguments,
                                check=False, env=env)
        self.assertEqual(done.returncode, expect, (arguments, done.stdout, done.stderr))
        return done

    def json(self, *arguments, **options):
        return json.loads(self.ctl("-o", "json", *arguments, **options).stdout)

    def trace(self, identifier, enough, token=None):
        """The events, once `enough(events)`: they are written a moment after the commit."""
        give_up = time.monotonic() + 30
        while True:
            done = self.run_program(self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], "-o", "json",
                                    "trace", identifier, check=False, env={"MERPATI_TOKEN": token} if token else {})
            events = json.loads(done.stdout)["events"] if done.returncode == 0 else []
            if events and enough(events):
                return events
            self.assertLess(time.monotonic(), give_up, (identifier, done.stdout, done.stderr))
            time.sleep(0.2)

    def send(self, recipients, sender="anna@sender.test"):
        """One message in one transaction from outside; its Message-ID."""
        identifier = f"{uuid.uuid4()}@sender.test"
        message = f"From: {sender}\r\nTo: you\r\nMessage-ID: <{identifier}>\r\nSubject: traced\r\n\r\nHello\r\n"
        with smtplib.SMTP(self.target.host, self.target.port("SMTP"), timeout=120) as client:
            client.ehlo("sender.test")
            client.sendmail(sender, recipients, message.encode())
        return identifier

    def needs(self, variable):
        """A target that is not of ./dev, as containers are, does not have everything."""
        if variable not in self.target.env:
            self.skipTest(f"the target has no {variable}")

    # --- status and top
    def test_status_shows_every_replica(self):
        rows = self.json("status")
        names = {row["service"] for row in rows}
        self.assertEqual(names, {"merpati"} if self.target.env.get("MODE") == "allinone" else SERVICES)
        for row in rows:
            self.assertTrue(row["reachable"], row)
            self.assertEqual(row["state"], "ready", row)
            self.assertTrue(row["status"]["version"])
            self.assertGreaterEqual(row["uptime_seconds"], 0)
        status = [row["status"] for row in rows]
        self.assertEqual({edge["protocol"] for one in status for edge in one["edges"]}, {"smtp", "imap", "pop3", "sieve"})
        pools = {pool["name"]: pool for one in status for pool in one["pools"]}
        self.assertLessEqual({"auth", "store", "filter", "queue", "admin"}, set(pools))
        self.assertTrue(all(pool["available"] for pool in pools.values()), pools)
        self.assertTrue(any("queue" in one for one in status))
        table = self.ctl("status").stdout.decode()
        for heading in ("SERVICE", "STATE", "UPTIME", "PG OPEN/BUSY/WAIT", "QUEUE HELD/DUE/SENDING"):
            self.assertIn(heading, table)

    def test_top_shows_what_happens_now(self):
        moving = ("deliveries_per_second", "messages_accepted_per_second", "smtp_commands_per_second",
                  "rpc_calls_per_second", "statements_per_second", "imap_sessions")
        stop = threading.Event()
        failures = []

        def traffic():
            try:
                while not stop.is_set():
                    self.send([self.user])
            except OSError as error:
                failures.append(error)

        thread = threading.Thread(target=traffic)
        thread.start()
        try:
            with_session = self.imap()
            for _ in range(5):  # a busy machine's disk may let nothing be committed for as long as one look takes
                frame = self.json("top", "--once", "--interval", "2")
                if all(frame["totals"][name] > 0 for name in moving):
                    break
            with_session.noop()
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        totals = frame["totals"]
        self.assertGreater(frame["interval_seconds"], 1)
        for name in moving:
            self.assertGreater(totals[name], 0, name)
        self.assertEqual(totals["ready"], totals["replicas"])
        for name in ("queue_due", "queue_oldest_due_seconds", "pool_waiting", "pool_wait_seconds_per_second",
                     "rpc_errors_per_second", "log_errors_per_second"):
            self.assertIn(name, totals)
        self.assertIn(b"deliveries/s", self.ctl("top", "--once", "--interval", "0.2").stdout)

    # --- one message's life
    def test_a_delivered_messages_life(self):
        other = self.target.account()
        identifier = self.send([self.user, other])
        events = self.trace(f"<{identifier}>", lambda found: sum(e["kind"] == "delivered" for e in found) == 2)
        self.assertEqual([event["at_us"] for event in events], sorted(event["at_us"] for event in events))
        self.assertEqual(len({event["trace_id"] for event in events}), 1)
        received = next(event for event in events if event["kind"] == "received")
        self.assertEqual((received["service"], received["reverse_path"], received["code"], received["message_id"]),
                         ("smtp", "anna@sender.test", 250, identifier))
        self.assertRegex(received["peer"], r"^\[[0-9a-f.:]+\] sender\.test$")  # the address as this listener sees it
        self.assertIn("accept", received["detail"])
        delivered = {event["recipient"]: event for event in events if event["kind"] == "delivered"}
        self.assertEqual(set(delivered), {self.user, other})
        client = self.imap()
        client.select("INBOX", readonly=True)
        uids = client.uid("SEARCH", "HEADER", "Message-ID", identifier)[1][0].split()
        mine = delivered[self.user]
        self.assertEqual(([str(mine["uid"]).encode()], mine["mailbox"], mine["service"]), (uids, "INBOX", "store"))
        # The same by the trace id and by the delivery id that the client was told.
        self.assertEqual(self.trace(events[0]["trace_id"], lambda _: True), events)
        self.assertEqual(self.trace(received["delivery_id"], lambda _: True), events)
        table = self.ctl("trace", identifier).stdout.decode()
        self.assertIn(f"uid {mine['uid']}", table)
        self.assertIn("received", table)
        self.assertIn(identifier, self.ctl("-o", "yaml", "trace", identifier).stdout.decode())

    def test_a_message_that_waits_in_the_queue(self):
        recipient = f"someone@{uuid.uuid4().hex}.invalid"
        identifier = f"{uuid.uuid4()}@{self.target.domain}"
        with smtplib.SMTP_SSL(self.target.host, self.target.port("SUBMISSIONS"), context=self.tls(), timeout=60) as client:
            client.login(self.user, self.target.password)
            client.sendmail(self.user, [recipient, self.user],
                            f"From: {self.user}\r\nTo: {recipient}\r\nMessage-ID: <{identifier}>\r\n\r\nHello\r\n".encode())

        def tried(found):
            return {"queued", "released", "delivered"} <= {e["kind"] for e in found} and any(
                e["kind"] in ("deferred", "failed") for e in found)

        events = self.trace(identifier, tried)
        kinds = [event["kind"] for event in events]
        self.assertLess(kinds.index("queued"), kinds.index("released"))
        queued = next(event for event in events if event["kind"] == "queued")
        self.assertEqual((queued["recipient"], queued["detail"]), (recipient, "held"))
        attempt = next(event for event in events if event["kind"] in ("deferred", "failed"))
        self.assertEqual((attempt["item_id"], attempt["attempt"]), (queued["item_id"], 1))
        self.assertTrue(attempt["text"])
        by_item = self.trace(str(queued["item_id"]), tried)
        self.assertEqual(by_item[0]["trace_id"], events[0]["trace_id"])
        if attempt["kind"] == "deferred":
            self.ctl("queue", "drop", str(queued["item_id"]))
            self.trace(identifier, lambda found: any(e["kind"] == "dropped" for e in found))
        else:
            self.trace(identifier, lambda found: any(e["kind"] == "bounced" for e in found))

    def test_an_append_has_a_trace(self):
        self.needs("STATE_DIR")
        client = self.imap()
        client.append("INBOX", None, None, b"Subject: kept\r\n\r\nHello\r\n")
        log = pathlib.Path(self.target.env["STATE_DIR"]) / "logs"
        give_up = time.monotonic() + 20
        ids = []
        while not ids and time.monotonic() < give_up:
            lines = [line for path in log.rglob("*.log") for line in path.read_text(errors="replace").splitlines()
                     if '"event":"store_appended"' in line]
            ids = [json.loads(line)["trace_id"] for line in lines]
            time.sleep(0.1)
        self.assertTrue(ids)
        events = self.trace(ids[-1], lambda found: True)
        self.assertEqual([event["kind"] for event in events], ["appended"])

    def test_who_may_see_a_trace(self):
        domain = f"obs-{random.randrange(1 << 40):x}.test"
        self.ctl("domain", "create", domain)
        self.ctl("account", "create", "kim@" + domain, "--no-password")
        reader = self.json("token", "create", "reader-" + domain, "--role", "read-only")["secret"]
        keeper = self.json("token", "create", "keeper-" + domain, "--role", "domain-admin", "--domain", domain)["secret"]
        both = self.send(["kim@" + domain, self.user])
        other = self.send([self.user])
        everything = self.trace(both, lambda found: sum(e["kind"] == "delivered" for e in found) == 2, token=reader)
        self.assertEqual(len([e for e in everything if e["recipient"]]), 2)
        theirs = self.trace(both, lambda found: True, token=keeper)
        self.assertEqual({e["recipient"] for e in theirs} - {""}, {"kim@" + domain})
        self.trace(other, lambda found: any(e["kind"] == "delivered" for e in found))
        self.ctl("trace", other, expect=NOT_FOUND, token=keeper)
        self.ctl("trace", other, expect=DENIED, token="mpt_wrong")
        self.ctl("trace", "nothing-like-it", expect=USAGE)
        self.ctl("trace", "f" * 32, expect=NOT_FOUND)

    def test_every_hop_logs_the_same_trace(self):
        self.needs("STATE_DIR")
        identifier = self.send([self.user])
        events = self.trace(identifier, lambda found: any(e["kind"] == "delivered" for e in found))
        wanted = {"smtp_message_accepted", "filter_message_judged", "store_delivered"}
        give_up = time.monotonic() + 20
        found = set()
        while not wanted <= found and time.monotonic() < give_up:
            for path in (pathlib.Path(self.target.env["STATE_DIR"]) / "logs").rglob("*.log"):
                for line in path.read_text(errors="replace").splitlines():
                    if events[0]["trace_id"] in line:
                        found.add(json.loads(line)["event"])
            time.sleep(0.1)
        self.assertLessEqual(wanted, found)

    # --- metrics
    def test_running_services_tell_only_golden_metrics(self):
        self.needs("METRICS_PORT")
        self.send([self.user])
        self.imap().noop()
        base = int(self.target.env["METRICS_PORT"])
        ports = [base] if self.target.env.get("MODE") != "services" else [base + n for n in range(9)]
        golden = metrics.golden()
        seen = set()
        for port in ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
                families = metrics.parse(answer.read().decode())
            for name, (kind, series) in families.items():
                with self.subTest(name):
                    self.assertIn(name, golden)
                    self.assertEqual(kind, golden[name].kind)
                    for labels in series:
                        self.assertEqual(set(labels), set(golden[name].labels))
                        for value in labels.values():
                            self.assertNotRegex(value, r"@|\d+\.\d+\.\d+\.\d+", "a label is never an address")
                    self.assertLess(len({tuple(sorted(labels.items())) for labels in series}), 400, "bounded labels")
                    seen.add(name)
        # Told by what is off by default, and what nobody has called yet.
        off = ("merpati_otlp_", "merpati_filter_list_", "merpati_filter_arc_", "merpati_filter_greylist_", "merpati_filter_reputation_",
               "merpati_filter_dmarc_", "merpati_filter_milter_")
        lazy = {name for name in golden if name.startswith(off)} | {"merpati_admin_calls_total"}
        self.assertEqual(sorted(set(golden) - seen - lazy), [], "listed, and nobody tells it")
