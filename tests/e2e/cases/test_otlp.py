"""With a collector and a remote host of the test's own: one mail is one connected trace, and `merpatictl trace` tells its
whole life, out of the house too."""
import imaplib
import importlib.util
import json
import os
import pathlib
import poplib
import shutil
import smtplib
import subprocess
import tempfile
import time
import unittest
import uuid

import instance
import not_run
from mail_test import MailTest
from otlp_collector import Collector
from smtp_sink import Sink

SERVER, CLIENT = 2, 3  # SpanKind


@unittest.skipIf(os.environ.get("MERPATI_TARGET_ENV"), "needs an instance of its own")
class Otlp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if importlib.util.find_spec("grpc") is None:
            not_run.not_run("e2e", "Python's grpc is missing (Debian's python3-grpcio)")
        cls.services = MailTest.instance is not None and MailTest.instance.services
        cls.state = pathlib.Path(tempfile.mkdtemp(prefix="merpati-otlp-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.state, ignore_errors=True)
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.collector = cls.enterClassContext(Collector())
        (cls.state / "extra.yaml").write_text(
            f"otlp: {{endpoint: '127.0.0.1:{cls.collector.port}', ratio: 1, interval: 200ms}}\n")
        routes = {"MERPATI_QUEUE__ROUTES": f'["sink.test=127.0.0.1:{cls.sink.port}"]'}
        cls.running = cls.enterClassContext(instance.Instance(services=cls.services, accounts=3, state=cls.state,
                                                               environment=routes))
        cls.target = cls.running.target

    def message(self, sender, recipient):
        identifier = f"{uuid.uuid4()}@sender.test"
        return identifier, (f"From: {sender}\r\nTo: {recipient}\r\nMessage-ID: <{identifier}>\r\nSubject: traced\r\n\r\n"
                            "Hello\r\n").encode()

    def events(self, identifier, enough):
        """Of `merpatictl trace`, once `enough(kinds)`."""
        give_up = time.monotonic() + 60
        while True:
            done = subprocess.run([self.target.env["CTL_PROGRAM"], "--config", self.target.env["CTL_CONTEXT"], "-o", "json",
                                   "trace", identifier], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            found = json.loads(done.stdout)["events"] if done.returncode == 0 else []
            if enough([event["kind"] for event in found]):
                return found
            self.assertLess(time.monotonic(), give_up, (found, done.stderr))
            time.sleep(0.2)

    def connected_trace(self, trace_id, wanted):
        """The spans of this trace by id, once the wanted ones (name, kind, service) and all parents are there: processes
        export at different times."""
        def of_trace(spans):
            return [span for span in spans if span.trace_id == trace_id]

        def complete(spans):
            trace = of_trace(spans)
            parents = {span.parent_id for span in trace if span.parent_id}
            return wanted <= {(s.name, s.kind, s.service) for s in trace} and parents <= {s.span_id for s in trace}

        trace = of_trace(self.collector.wait(complete))
        self.assertLessEqual(wanted, {(span.name, span.kind, span.service) for span in trace})
        by_id = {span.span_id: span for span in trace}
        self.assertEqual(len(by_id), len(trace), "no id twice")
        self.assertEqual([span.name for span in trace if not span.parent_id], ["smtp transaction"], "one root")
        for span in trace:
            self.assertTrue(not span.parent_id or span.parent_id in by_id, f"{span.name} hangs below another span")
            self.assertLessEqual(span.start, span.end)
        return by_id

    def process(self, service):
        """Whose spans those of `service` are."""
        return f"merpati-{service}" if self.services else "merpati"

    def test_one_mail_in_is_one_connected_trace(self):
        recipient = self.target.account()
        identifier, message = self.message("anna@sender.test", recipient)
        with smtplib.SMTP(self.target.host, self.target.port("SMTP"), timeout=60) as client:
            client.ehlo("sender.test")
            client.sendmail("anna@sender.test", [recipient], message)
        events = self.events(identifier, lambda kinds: kinds == ["received", "delivered"])
        wanted = {("smtp transaction", SERVER, self.process("smtp")), ("store commit", CLIENT, self.process("store"))}
        for method, callee in (("merpati.auth.v1.Auth/ResolveRecipient", "auth"),
                               ("merpati.filter.v1.Filter/CheckMessage", "filter"), ("merpati.store.v1.Store/Deliver", "store")):
            wanted |= {(method, CLIENT, self.process("smtp")), (method, SERVER, self.process(callee))}
        by_id = self.connected_trace(events[0]["trace_id"], wanted)
        trace = list(by_id.values())
        self.assertFalse([span for span in trace if span.failed])
        deliver = by_id[next(span for span in trace if span.name == "store commit").parent_id]
        self.assertEqual((deliver.name, deliver.kind), ("merpati.store.v1.Store/Deliver", SERVER))
        root = next(span for span in trace if not span.parent_id)
        self.assertEqual((root.attributes["smtp.reply_code"], root.attributes["smtp.recipients"]), (250, 1))

    def test_a_mail_that_leaves_and_a_bounce(self):
        sender = self.target.account()
        recipients = ["kim@sink.test", "refused@sink.test"]
        identifier, message = self.message(sender, recipients[0])
        with smtplib.SMTP(self.target.host, self.target.port("SUBMISSION"), timeout=60) as client:
            client.login(sender, self.target.password)
            client.sendmail(sender, recipients, message)
        events = self.events(identifier, lambda kinds: {"sent", "failed", "bounced", "delivered"} <= set(kinds))
        kinds = [event["kind"] for event in events]
        self.assertEqual(kinds[0], "received")
        self.assertEqual(kinds.count("queued"), 2)
        sent = next(event for event in events if event["kind"] == "sent" and event["recipient"] == recipients[0])
        failed = next(event for event in events if event["kind"] == "failed")
        self.assertEqual((failed["recipient"], failed["status"]), (recipients[1], "5.1.1"))
        self.assertIn("nobody of that name", failed["text"])
        self.assertTrue(sent["peer"])
        bounced = next(event for event in events if event["kind"] == "bounced")
        self.assertEqual(bounced["recipient"], sender)
        back = next(event for event in events if event["kind"] == "delivered")
        self.assertEqual((back["recipient"], back["mailbox"]), (sender, "INBOX"), "the bounce, in the same trace")
        self.connected_trace(events[0]["trace_id"], {
            ("smtp transaction", SERVER, self.process("smtp")), ("queue commit", CLIENT, self.process("queue")),
            ("remote delivery", CLIENT, self.process("queue")), ("merpati.queue.v1.Queue/Enqueue", SERVER, self.process("queue"))})

    def test_commands_of_readers_are_traces_too(self):
        user = self.target.account()
        client = imaplib.IMAP4(self.target.host, self.target.port("IMAP"))
        client.login(user, self.target.password)
        client.select("INBOX")
        client.logout()
        pop = poplib.POP3(self.target.host, self.target.port("POP3"))
        pop.user(user)
        pop.pass_(self.target.password)
        pop.quit()
        def below_select(spans):
            traces = {span.trace_id for span in spans if span.name == "SELECT"}
            return {(span.name, span.service) for span in spans if span.trace_id in traces}

        opened = ("merpati.store.v1.Store/OpenMailbox", self.process("store"))
        found = self.collector.wait(lambda spans: "QUIT" in {s.name for s in spans} and opened in below_select(spans))
        select = next(span for span in found if span.name == "SELECT")
        self.assertEqual((select.parent_id, select.attributes["network.protocol.name"], select.service),
                         ("", "imap", self.process("imap")))
        self.assertIn(opened, below_select(found))
        self.assertIn("pop3", {span.attributes.get("network.protocol.name") for span in found if span.name == "QUIT"})
