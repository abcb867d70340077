#!/usr/bin/python3
"""Engines that ask others: a real clamd and a real Rspamd, killed, stopped and black-holed during traffic; lists in DNS, good and
mad. Everything runs in a network of the test's own; where there can be none, nothing is black-holed, and NOT RUN says so."""
import base64
import imaplib
import json
import pathlib
import shutil
import signal
import smtplib
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

import not_run  # noqa: E402
from dns_server import DnsServer  # noqa: E402
from instance import Instance, free_ports  # noqa: E402
from private_network import Network, enter  # noqa: E402
from processes import PATIENCE, Processes  # noqa: E402
from scanners import EICAR, GTUBE, Clamd, Rspamd  # noqa: E402

GOOD = b"From: sender@remote.test\r\nSubject: good\r\n\r\nhello\r\n"
VIRUS = (b"From: sender@remote.test\r\nSubject: look\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
         b"--b\r\n\r\nhi\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
         + base64.b64encode(EICAR) + b"\r\n--b--\r\n")
SPAM = b"From: sender@remote.test\r\nSubject: spam\r\n\r\n" + GTUBE.encode() + b"\r\n"
SOON = 30 * PATIENCE  # seconds; nothing is said of how long it takes


def setUpModule():
    global INSTANCE, PROCESSES, FILE, ORIGINAL
    INSTANCE = unittest.enterModuleContext(Instance(services=True, accounts=20))
    if INSTANCE.adopted:
        raise unittest.SkipTest("an adopted instance cannot be given other engines")
    PROCESSES = Processes(INSTANCE.state)
    FILE = INSTANCE.state / "services" / "filter.yaml"
    ORIGINAL = FILE.read_text()


class Engines(unittest.TestCase):
    def setUp(self):
        self.target = INSTANCE.target
        self.user = self.target.account()

    def configure(self, text):
        assert ORIGINAL.count("\nfilter:\n") == 1, ORIGINAL
        FILE.write_text(ORIGINAL.replace("\nfilter:\n", f"\nfilter:\n{text}\n"))
        PROCESSES.kill("filter", signal.SIGTERM)
        PROCESSES.restart("filter")
        PROCESSES.wait_ready("filter")

    def folder(self, name):
        path = tempfile.mkdtemp(prefix=f"merpati-{name}-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def send(self, message, client="127.0.0.1"):
        with smtplib.SMTP("127.0.0.1", self.target.port("SMTP"), timeout=60 * PATIENCE, source_address=(client, 0)) as client:
            client.ehlo("sender.test")
            code, text = client.mail("sender@remote.test")
            if code == 250:
                client.rcpt(self.user)
                code, text = client.data(message)
            return code, text.decode()

    def submit(self, message):
        with smtplib.SMTP("localhost", self.target.port("SUBMISSION"), timeout=60 * PATIENCE) as client:
            client.login(self.user, self.target.password)
            client.mail(self.user)
            client.rcpt(self.user)
            return client.data(message.replace(b"sender@remote.test", self.user.encode()))[0]

    def count(self, mailbox="INBOX"):
        client = imaplib.IMAP4("127.0.0.1", self.target.port("IMAP"))
        self.addCleanup(client.shutdown)
        client.login(self.user, self.target.password)
        status, answer = client.select(mailbox, readonly=True)
        self.assertEqual(status, "OK", answer)
        return int(answer[0])

    def wait_for(self, code, message=GOOD):
        give_up = time.monotonic() + SOON
        while True:
            got = self.send(message)
            if got[0] == code:
                return got[1]
            self.assertLess(time.monotonic(), give_up, got)
            time.sleep(0.2)

    @staticmethod
    def timed(call, *arguments):
        began = time.monotonic()
        call(*arguments)
        return time.monotonic() - began

    @staticmethod
    def ways(scanner):
        """(name, what takes the scanner away, what brings it back)."""
        yield "killed", scanner.kill, scanner.start
        yield "stopped", lambda: scanner.signal(signal.SIGSTOP), lambda: scanner.signal(signal.SIGCONT)
        if NETWORK:
            yield "black-holed", lambda: NETWORK.swallow(scanner.port), NETWORK.heal

    def logged(self, event):
        lines = (INSTANCE.state / "logs" / "filter.log").read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if f'"{event}"' in line]


class RealClamd(Engines):
    def setUp(self):
        super().setUp()
        not_run.need_programs("e2e", "clamd")
        self.clamd = Clamd(self.folder("clamd"))
        self.addCleanup(self.clamd.kill)

    def engine(self, more=""):
        self.configure(f"  clamd: {{address: \"{self.clamd.address}\"{more}}}")

    def test_a_virus_is_refused_and_other_mail_is_not(self):
        self.engine()
        code, text = self.send(VIRUS)
        self.assertEqual(code, 554, text)
        self.assertIn("5.7.1 The message carries a virus: Eicar-Test", text)
        self.assertEqual(self.send(GOOD)[0], 250)
        large = b"From: sender@remote.test\r\nSubject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20000
        self.assertEqual(self.send(large)[0], 250)
        self.assertEqual(self.send(VIRUS.replace(b"\r\nhi\r\n", b"\r\n" + (b"y" * 70 + b"\r\n") * 20000))[0], 554)
        self.assertEqual(self.submit(VIRUS), 554, "submitted mail is scanned, too")
        self.assertEqual(self.count(), 2)

    def test_over_its_socket_into_junk(self):
        self.configure(f"  clamd: {{address: \"{self.clamd.folder}/socket\", on_virus: JUNK}}")
        self.assertEqual(self.send(VIRUS)[0], 250)
        self.assertEqual((self.count(), self.count("Junk")), (0, 1))

    def test_killed_stopped_and_black_holed_during_traffic(self):
        self.engine()
        self.assertEqual(self.send(GOOD)[0], 250)
        stop, answers = threading.Event(), []

        def load():
            while not stop.is_set():
                answers.append((self.send(GOOD)[0], self.send(VIRUS)[0]))

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for way, disturb, mend in self.ways(self.clamd):
                disturb()
                refused = self.timed(self.wait_for, 451)
                time.sleep(2)
                mend()
                works = self.timed(self.wait_for, 250)
                print(f"clamd, {way}: 451 after {refused:.2f} s, works {works:.2f} s after it came back", flush=True)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertGreater(len(answers), 5)
        self.assertLessEqual({good for good, _ in answers}, {250, 451})
        self.assertLessEqual({bad for _, bad in answers}, {554, 451}, "no virus came through")
        self.assertEqual(self.send(VIRUS)[0], 554)
        self.assertTrue(self.logged("filter_engine_avoided"))
        self.assertTrue(self.logged("filter_engine_back"))

    def test_marked_where_the_policy_says_so(self):
        self.engine(", unchecked: MARK")
        self.clamd.kill()
        self.assertEqual(self.send(GOOD)[0], 250)
        self.assertEqual(self.count(), 1)


class RealRspamd(Engines):
    def setUp(self):
        super().setUp()
        not_run.need_programs("e2e", "rspamd")
        self.rspamd = Rspamd(self.folder("rspamd"))
        self.addCleanup(self.rspamd.kill)

    def test_gtube_is_refused_and_what_is_away_is_survived(self):
        engine = f"  rspamd: {{address: \"{self.rspamd.address}\""
        self.configure(engine + "}")
        code, text = self.send(SPAM)
        self.assertEqual(code, 554, text)
        self.assertIn("Gtube pattern", text)
        self.assertEqual(self.send(GOOD)[0], 250)
        for way, disturb, mend in self.ways(self.rspamd):
            with self.subTest(way):
                disturb()
                taken = self.timed(lambda: self.assertEqual(self.send(SPAM)[0], 250, "unchecked mail is marked, not refused"))
                mend()
                works = self.timed(self.wait_for, 554, SPAM)
                print(f"rspamd, {way}: taken after {taken:.2f} s, works {works:.2f} s after it came back", flush=True)
        self.configure(engine + ", verdict: SCORE, score_factor: 0.5}")
        self.assertEqual(self.send(SPAM)[0], 250)
        self.assertEqual(self.count("Junk"), 1, "7.5 of our points")


class Lists(Engines):
    """The client is 127.0.0.1, which is an own network unless it is said otherwise."""

    def setUp(self):
        super().setUp()
        port = free_ports(1)[0]
        self.dns = DnsServer(port)
        self.addCleanup(self.dns.stop)
        self.server = f"127.0.0.1@{port}"
        self.dns.addresses = {"2.0.0.127.bl.test": "127.0.0.2", "test.uri.test": "127.0.0.2"}

    def lists(self, more=""):
        self.configure(f"  dns_servers: [\"{self.server}\"]\n  thresholds: {{junk: 3}}\n  dns_lists:\n    own_networks: [none]\n"
                       f"    test_every: 1s\n    test_again_after: 1s\n    lists:\n"
                       f"      - {{zone: uri.test, of: DOMAINS, symbol: URI, score: 4}}\n{more}")

    def test_a_listed_domain_is_filed_into_junk(self):
        self.lists()
        self.dns.addresses["bad.example.uri.test"] = "127.0.0.2"
        self.assertEqual(self.send(GOOD.replace(b"hello", b"see http://www.bad.example/x"))[0], 250)
        self.assertEqual(self.send(GOOD.replace(b"hello", b"see http://www.good.example/x"))[0], 250)
        self.assertEqual((self.count(), self.count("Junk")), (1, 1))

    def test_a_listed_client_is_refused_before_its_message_comes(self):
        self.lists("      - {zone: bl.test, symbol: BL, codes: [{answers: 127.0.0.2, refuse: true}, {answers: 127.0.0.9, score: 4}]}\n")
        self.dns.addresses.update({"5.0.0.127.bl.test": "127.0.0.2", "9.0.0.127.bl.test": "127.0.0.9"})
        code, text = self.send(GOOD, client="127.0.0.5")
        self.assertEqual((code, text), (554, "5.7.1 127.0.0.5 is listed by bl.test"))
        self.assertEqual(self.send(GOOD, client="127.0.0.6")[0], 250)
        self.assertEqual(self.send(GOOD, client="127.0.0.9")[0], 250)
        self.assertEqual((self.count(), self.count("Junk")), (1, 1))
        self.dns.silent = True
        self.assertEqual(self.send(GOOD, client="127.0.0.7")[0], 250, "DNS that is away holds up nobody")

    def test_a_mad_list_is_not_asked_until_it_is_mended(self):
        # 127.0.0.1 is what no list may list. (That it is not listed would be remembered for a while, so it is from the start.)
        self.dns.addresses.update({"1.0.0.127.bl.test": "127.0.0.2", "5.0.0.127.bl.test": "127.0.0.2"})
        self.lists("      - {zone: bl.test, symbol: BL, refuse: true}\n")
        self.wait_logged("filter_list_off")
        self.assertEqual(self.send(GOOD, client="127.0.0.5")[0], 250)
        del self.dns.addresses["1.0.0.127.bl.test"]
        self.wait_logged("filter_list_on")
        self.assertEqual(self.send(GOOD, client="127.0.0.5")[0], 554)

    def wait_logged(self, event):
        give_up = time.monotonic() + SOON
        while not self.logged(event):
            self.assertLess(time.monotonic(), give_up, event)
            time.sleep(0.1)


if __name__ == "__main__":
    HINDRANCE = enter()
    if HINDRANCE:
        print(f"NOT RUN scanners: nothing is black-holed: {HINDRANCE}", flush=True)
    NETWORK = None if HINDRANCE else Network()
    not_run.main()
