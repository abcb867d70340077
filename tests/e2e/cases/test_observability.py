"""What operators see: status, top, one trace id in every log, metrics."""
import collections
import json
import pathlib
import smtplib
import sys
import threading
import time
import urllib.request
import uuid

from mail_test import MailTest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "golden"))
import metrics  # noqa: E402  (needs the path above)

SERVICES = {"auth", "store", "filter", "queue", "admin", "smtp", "pop3", "imap"}


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

    def send(self, recipients, sender="anna@sender.test"):
        """One message in one transaction from outside; its Message-ID."""
        identifier = f"{uuid.uuid4()}@sender.test"
        message = f"From: {sender}\r\nTo: you\r\nMessage-ID: <{identifier}>\r\nSubject: traced\r\n\r\nHello\r\n"
        with smtplib.SMTP(self.target.host, self.target.port("SMTP"), timeout=120) as client:
            client.ehlo("sender.test")
            client.sendmail(sender, recipients, message.encode())
        return identifier

    # --- status and top
    def test_status_shows_every_replica(self):
        rows = self.json("status")
        names = {row["service"] for row in rows}
        self.assertEqual(names, SERVICES if self.target.env.get("MODE") == "services" else {"merpati"})
        for row in rows:
            self.assertTrue(row["reachable"], row)
            self.assertEqual(row["state"], "ready", row)
            self.assertTrue(row["status"]["version"])
            self.assertGreaterEqual(row["uptime_seconds"], 0)
        status = [row["status"] for row in rows]
        self.assertEqual({edge["protocol"] for one in status for edge in one["edges"]}, {"smtp", "imap", "pop3"})
        pools = {pool["name"]: pool for one in status for pool in one["pools"]}
        self.assertLessEqual({"auth", "store", "queue", "admin"}, set(pools))
        self.assertTrue(all(pool["available"] for pool in pools.values()), pools)
        self.assertTrue(any("queue" in one for one in status))
        table = self.ctl("status").stdout.decode()
        for heading in ("SERVICE", "STATE", "UPTIME", "PG OPEN/BUSY/WAIT", "QUEUE HELD/DUE/SENDING"):
            self.assertIn(heading, table)

    def test_top_shows_what_happens_now(self):
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
            frame = self.json("top", "--once", "--interval", "2")
            with_session.noop()
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        totals = frame["totals"]
        self.assertGreater(frame["interval_seconds"], 1)
        for name in ("deliveries_per_second", "messages_accepted_per_second", "smtp_commands_per_second",
                     "rpc_calls_per_second", "statements_per_second", "imap_sessions"):
            self.assertGreater(totals[name], 0, name)
        self.assertEqual(totals["ready"], totals["replicas"])
        for name in ("queue_due", "queue_oldest_due_seconds", "pool_waiting",
                     "rpc_errors_per_second", "log_errors_per_second"):
            self.assertIn(name, totals)
        self.assertIn(b"deliveries/s", self.ctl("top", "--once", "--interval", "0.2").stdout)

    # --- one trace id in every hop's line
    def test_every_hop_logs_the_same_trace(self):
        self.send([self.user])
        wanted = {"smtp_message_accepted", "filter_message_judged", "store_delivered"}
        give_up = time.monotonic() + 20
        while True:
            events = collections.defaultdict(set)
            for path in (pathlib.Path(self.target.env["STATE_DIR"]) / "logs").glob("*.log"):
                for line in path.read_text(errors="replace").splitlines():
                    if '"trace_id":"' in line and line.startswith("{"):
                        fields = json.loads(line)
                        events[fields["trace_id"]].add(fields["event"])
            if any(wanted <= found for found in events.values()):
                return
            self.assertLess(time.monotonic(), give_up, events)
            time.sleep(0.2)

    # --- metrics
    def test_running_services_tell_only_golden_metrics(self):
        self.send([self.user])
        self.imap().noop()
        base = int(self.target.env["METRICS_PORT"])
        ports = [base] if self.target.env.get("MODE") != "services" else [base + n for n in (0, 1, 2, 4, 5, 6, 7, 8)]
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
        lazy = {"merpati_admin_calls_total"}
        self.assertEqual(sorted(set(golden) - seen - lazy), [], "listed, and nobody tells it")
