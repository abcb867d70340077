#!/usr/bin/python3
"""Mail is filed, flagged, answered, redirected, refused and dropped as its recipients' Sieve scripts say.

usage: sieve_delivery.py [--services] [TEST ...]

The instance's queue delivers sink.test to a server of the test, which plays the remote hosts.
"""
import email
import imaplib
import pathlib
import smtplib
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support")]

from instance import Instance  # noqa: E402
from smtp_sink import Sink  # noqa: E402

SERVICES = "--services" in sys.argv
SENDER = "sender@sink.test"


class SieveDelivery(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.instance = cls.enterClassContext(Instance(services=SERVICES, accounts=40, environment={
            "MERPATI_QUEUE__ROUTES": f'["sink.test={cls.sink.address}:{cls.sink.port}"]',
            **{f"MERPATI_{service}__SRS__{key}": value for service in ("AUTH", "FILTER")
               for key, value in (("DOMAIN", "example.test"), ("KEY", "0123456789abcdef"))}}))
        if cls.instance.adopted:
            raise unittest.SkipTest("an adopted instance does not deliver to the test")
        cls.target = cls.instance.target

    def setUp(self):
        self.user = self.target.account()

    # --- what the cases do

    def ctl(self, *words, stdin="", check=True):
        env = self.target.env
        return subprocess.run([env["CTL_PROGRAM"], "--config", env["CTL_CONTEXT"], *words], input=stdin, text=True,
                              capture_output=True, check=check)

    def script(self, user, source):
        self.ctl("sieve", "put", user, "-", "--name", "mine", "--activate", stdin=source)

    def send(self, *users, subject="hello", sender=SENDER, header="", body="text\r\n"):
        """The last reply."""
        with smtplib.SMTP("127.0.0.1", self.target.port("SMTP"), timeout=60) as client:
            client.ehlo("sink.test")
            client.mail(sender)
            for user in users:
                client.rcpt(user)
            self.number = getattr(self, "number", 0) + 1
            text = (f"From: {sender or 'nobody@sink.test'}\r\nTo: {', '.join(users)}\r\nSubject: {subject}\r\n"
                    f"Message-ID: <{self.id()}.{self.number}@sink.test>\r\n{header}\r\n{body}")
            return client.data(text.encode())

    def deliver(self, *users, **message):
        code, text = self.send(*users, **message)
        self.assertEqual(code, 250, text)

    def imap(self, user):
        client = imaplib.IMAP4("127.0.0.1", self.target.port("IMAP"))
        self.addCleanup(client.shutdown)
        client.login(user, self.target.password)
        return client

    def messages(self, user, mailbox="INBOX"):
        """(flags, message) of each; none when there is no such mailbox."""
        client = self.imap(user)
        if client.select(f'"{mailbox}"', readonly=True)[0] != "OK":
            return []
        found = []
        for uid in client.search(None, "ALL")[1][0].split():
            row = client.fetch(uid, "(FLAGS BODY.PEEK[])")[1][0]
            found.append((imaplib.ParseFlags(row[0]), email.message_from_bytes(row[1])))
        return found

    def subjects(self, user, mailbox="INBOX"):
        return [str(message["Subject"]) for _, message in self.messages(user, mailbox)]

    def at_sink(self, address, count=1):
        """Waits for messages to a remote address."""
        for _ in range(600):
            with self.sink.lock:
                found = list(self.sink.messages[address])
            if len(found) >= count:
                break
            time.sleep(0.05)
        self.assertEqual(len(found), count)
        return [email.message_from_bytes(each) for each in found]

    def assert_nothing_at_sink(self, address, proof):
        """`proof` is what was sent later: when it has come, the other would have too."""
        self.at_sink(proof)
        with self.sink.lock:
            self.assertEqual(len(self.sink.messages[address]), 0)

    # --- the cases

    def test_filed_and_flagged(self):
        self.script(self.user, 'require ["fileinto", "mailbox", "imap4flags"];\r\n'
                               'if header :contains "subject" "order" {\r\n'
                               '  fileinto :create :flags ["\\\\Flagged", "$work"] "Orders/New"; }\r\n')
        self.deliver(self.user, subject="an order")
        self.deliver(self.user, subject="something else")
        self.assertEqual(self.subjects(self.user), ["something else"])
        (flags, message), = self.messages(self.user, "Orders/New")
        self.assertEqual(message["Subject"], "an order")
        self.assertLessEqual({b"\\Flagged", b"$work"}, set(flags))

    def test_subaddress_names_the_mailbox(self):
        self.script(self.user, 'require ["fileinto", "mailbox", "subaddress", "envelope", "variables"];\r\n'
                               'if envelope :matches :detail "to" "*" { fileinto :create "${1}"; }')
        local, domain = self.user.split("@")
        self.deliver(f"{local}+lists@{domain}", subject="to a list")
        self.assertEqual(self.subjects(self.user, "lists"), ["to a list"])

    def test_two_recipients_with_different_scripts(self):
        other, third = self.target.account(), self.target.account()
        self.script(self.user, 'require ["fileinto", "mailbox"]; fileinto :create "a";')
        self.script(other, "discard;")
        self.deliver(self.user, other, third, subject="for three")
        self.assertEqual(self.subjects(self.user, "a"), ["for three"])
        self.assertEqual(self.subjects(self.user), [])
        self.assertEqual(self.subjects(other), [])
        self.assertEqual(self.subjects(third), ["for three"])

    def test_vacation_answers_once(self):
        sender = f"once.{self.user.split('@')[0]}@sink.test"
        self.script(self.user, 'require "vacation"; vacation :days 3 :subject "Away" "Back on Monday.";')
        self.deliver(self.user, sender=sender, subject="one")
        self.deliver(self.user, sender=sender, subject="two")
        answer, = self.at_sink(sender)
        self.assertEqual(answer["Subject"], "Away")
        self.assertEqual(answer["From"], f"<{self.user}>")
        self.assertTrue(answer["Auto-Submitted"].startswith("auto-replied"))
        self.assertEqual(answer["In-Reply-To"], f"<{self.id()}.1@sink.test>")
        self.assertIn("Back on Monday.", answer.get_payload())
        self.assertEqual(self.subjects(self.user), ["one", "two"])
        self.script(self.user, 'redirect "vacation-proof@sink.test";')
        self.deliver(self.user)
        self.at_sink("vacation-proof@sink.test")
        self.assertEqual(len(self.at_sink(sender)), 1)

    def test_lists_and_bounces_are_not_answered(self):
        sender = f"quiet.{self.user.split('@')[0]}@sink.test"
        self.script(self.user, 'require "vacation"; vacation "Away";')
        self.deliver(self.user, sender=sender, header="List-Id: <list.sink.test>\r\n")
        self.deliver(self.user, sender=sender, header="Auto-Submitted: auto-generated\r\n")
        self.deliver(self.user, sender="")
        self.script(self.user, 'redirect "quiet-proof@sink.test";')
        self.deliver(self.user)
        self.assert_nothing_at_sink(sender, "quiet-proof@sink.test")

    def test_redirected(self):
        to = f"target.{self.user.split('@')[0]}@sink.test"
        self.script(self.user, f'require "copy"; redirect :copy "{to}";')
        self.deliver(self.user, subject="go on", body="exactly this\r\n")
        message, = self.at_sink(to)
        self.assertEqual((message["Subject"], message.get_payload()), ("go on", "exactly this\r\n"))
        self.assertEqual(message["Delivered-To"], self.user)
        self.assertEqual(self.subjects(self.user), ["go on"])
        self.script(self.user, f'redirect "{to}";')
        self.deliver(self.user, subject="and on")
        self.at_sink(to, 2)
        self.assertEqual(self.subjects(self.user), ["go on"])

    def test_a_bounce_of_what_was_redirected_finds_who_sent_it(self):
        sender = f"far.{self.user.split('@')[0]}@sink.test"
        self.script(self.user, 'redirect "refused.there@sink.test";')
        self.deliver(self.user, sender=sender, subject="goes wrong")
        bounce, = self.at_sink(sender)
        self.assertEqual(bounce.get_content_type(), "multipart/report")
        self.assertIn("refused.there@sink.test", bounce.as_string())
        self.assertEqual(self.subjects(self.user), [])

    def test_a_circle_of_redirects_ends(self):
        other = self.target.account()
        self.script(self.user, f'redirect "{other}";')
        self.script(other, f'redirect "{self.user}";')
        self.deliver(self.user, subject="round")
        for _ in range(600):
            found = self.subjects(self.user) + self.subjects(other)
            if found:
                break
            time.sleep(0.05)
        time.sleep(1)  # a second copy would come now
        self.assertEqual(self.subjects(self.user) + self.subjects(other), ["round"])

    def test_refused(self):
        other = self.target.account()
        self.script(self.user, 'require "reject"; reject "Not today.";')
        code, text = self.send(self.user)
        self.assertEqual((code, text), (550, b"5.7.1 Not today."))
        sender = f"unwanted.{self.user.split('@')[0]}@sink.test"
        self.deliver(self.user, other, sender=sender, subject="half wanted")
        answer, = self.at_sink(sender)
        self.assertEqual(answer.get_content_type(), "multipart/report")
        self.assertIn("Not today.", answer.get_payload()[0].get_payload())
        self.assertEqual(self.subjects(self.user), [])
        self.assertEqual(self.subjects(other), ["half wanted"])

    def test_discarded(self):
        self.script(self.user, 'if header "subject" "bad" { discard; }')
        self.deliver(self.user, subject="bad")
        self.deliver(self.user, subject="good")
        self.assertEqual(self.subjects(self.user), ["good"])

    def test_duplicates(self):
        self.script(self.user, 'require ["duplicate", "fileinto", "mailbox"];\r\n'
                               'if duplicate :header "X-Id" { fileinto :create "Again"; }')
        self.deliver(self.user, subject="first", header="X-Id: 1\r\n")
        self.deliver(self.user, subject="second", header="X-Id: 1\r\n")
        self.deliver(self.user, subject="third", header="X-Id: 2\r\n")
        self.assertEqual(self.subjects(self.user), ["first", "third"])
        self.assertEqual(self.subjects(self.user, "Again"), ["second"])

    def test_edited(self):
        self.script(self.user, 'require "editheader"; deleteheader "X-Secret"; addheader "X-Seen" "yes";')
        self.deliver(self.user, header="X-Secret: 42\r\n", body="as it was\r\n")
        (_, message), = self.messages(self.user)
        self.assertEqual((message["X-Secret"], message["X-Seen"], message.get_payload()), (None, "yes", "as it was\r\n"))
        self.assertEqual(len(message.get_all("Authentication-Results")), 1)

    def test_a_large_message(self):
        to = f"large.{self.user.split('@')[0]}@sink.test"
        body = "".join(f"line {number}\r\n" for number in range(20000))
        self.script(self.user, 'require ["editheader", "fileinto", "mailbox", "body", "copy"];\r\n'
                               'if body :contains "line 19999" { addheader "X-Large" "yes"; fileinto :create "Large"; '
                               f'redirect :copy "{to}"; }}')
        self.deliver(self.user, body=body)
        (_, message), = self.messages(self.user, "Large")
        self.assertEqual((message["X-Large"], message.get_payload()), ("yes", body))
        message, = self.at_sink(to)
        self.assertEqual((message["X-Large"], message.get_payload()), ("yes", body))

    def test_notified(self):
        to = f"pager.{self.user.split('@')[0]}@sink.test"
        self.script(self.user, f'require "enotify"; notify :message "You have mail" "mailto:{to}";')
        self.deliver(self.user, subject="news")
        note, = self.at_sink(to)
        self.assertEqual(note["Subject"], "You have mail")
        self.assertTrue(note["Auto-Submitted"].startswith("auto-notified"))
        self.assertEqual(self.subjects(self.user), ["news"])

    def test_an_error_keeps_the_message_and_is_told_once(self):
        self.script(self.user, 'require ["fileinto", "include"]; fileinto "x"; include "none";')
        self.deliver(self.user, subject="one")
        self.deliver(self.user, subject="two")
        for _ in range(600):
            found = self.subjects(self.user)
            if len(found) >= 3:
                break
            time.sleep(0.05)
        self.assertEqual(sorted(found), ["Your mail filter has an error", "one", "two"])

    def test_many_recipients_who_are_away(self):
        users = [self.target.account() for _ in range(12)]
        sender = f"many.{self.user.split('@')[0]}@sink.test"
        for user in users:
            self.script(user, 'require ["vacation", "copy"]; redirect :copy "many-copy@sink.test";\r\n'
                              'redirect :copy "many-copy2@sink.test"; vacation "Away";')
        self.deliver(*users, sender=sender)  # 36 messages that leave: more than one call to the queue carries
        self.at_sink(sender, len(users))
        self.at_sink("many-copy@sink.test", len(users))
        self.at_sink("many-copy2@sink.test", len(users))
        self.assertEqual(self.subjects(users[0]), ["hello"])

    def test_kept_by_merpatictl(self):
        self.script(self.user, "keep;")
        listed = self.ctl("-o", "json", "sieve", "list", self.user).stdout
        self.assertIn('"mine"', listed)
        self.assertEqual(self.ctl("sieve", "get", self.user, "mine").stdout, "keep;")
        wrong = self.ctl("sieve", "put", self.user, "-", "--name", "mine", stdin="keep;\nnothing;\n", check=False)
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn("-:2:1:", wrong.stderr)
        self.assertEqual(self.ctl("sieve", "get", self.user, "mine").stdout, "keep;")
        self.assertNotEqual(self.ctl("sieve", "delete", self.user, "mine", check=False).returncode, 0)
        self.ctl("sieve", "rename", self.user, "mine", "other")
        self.ctl("sieve", "deactivate", self.user)
        self.ctl("sieve", "delete", self.user, "other")
        self.assertNotIn("other", self.ctl("-o", "json", "sieve", "list", self.user).stdout)
        self.assertIn("PutScript", self.ctl("audit", "list").stdout)


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--services"], verbosity=2, warnings="ignore")
