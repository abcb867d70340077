"""SCRAM-SHA-256 and -PLUS by a client of our own, over real TLS: the channel binding is of the session that is used."""
import base64
import hashlib
import hmac
import imaplib
import os
import poplib
import smtplib

from mail_test import MailTest
from managesieve import ManageSieve, Refused


class Scram:
    """RFC 5802 3, RFC 7677. `binding`: the certificate's hash for tls-server-end-point (RFC 5929 4.1)."""

    def __init__(self, user, password, binding=b""):
        self.password, self.binding = password.encode(), binding
        self.gs2 = b"p=tls-server-end-point,," if binding else b"n,,"
        self.bare = b"n=" + user.encode() + b",r=" + base64.b64encode(os.urandom(18))

    def first(self):
        return self.gs2 + self.bare

    def final(self, challenge):
        fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields[b"s"]), int(fields[b"i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        without = b"c=" + base64.b64encode(self.gs2 + self.binding) + b",r=" + fields[b"r"]
        said = self.bare + b"," + challenge + b"," + without
        proof = bytes(a ^ b for a, b in zip(key, hmac.digest(hashlib.sha256(key).digest(), said, "sha256")))
        self.signature = b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256"))
        return without + b",p=" + base64.b64encode(proof)


class ScramOverTls(MailTest):
    def scram(self, connection, plus, password=None, spoil=b""):
        certificate = hashlib.sha256(connection.getpeercert(binary_form=True)).digest()
        return Scram(self.user, password or self.target.password, (spoil or certificate) if plus else b"")

    def imap_login(self, plus, **spoilt):
        client = imaplib.IMAP4_SSL(self.target.host, self.target.port("IMAPS"), ssl_context=self.tls(), timeout=60)
        self.addCleanup(self.close_imap, client)
        scram = self.scram(client.sock, plus, **spoilt)
        answers = iter((lambda _: scram.first(), scram.final, lambda said: self.assertEqual(said, scram.signature) or b""))
        return client.authenticate("SCRAM-SHA-256" + "-PLUS" * plus, lambda challenge: next(answers)(challenge))[0]

    def pop3_login(self, plus, **spoilt):
        client = poplib.POP3_SSL(self.target.host, self.target.port("POP3S"), context=self.tls(), timeout=60)
        self.addCleanup(client.close)
        scram = self.scram(client.sock, plus, **spoilt)
        said = client._shortcmd("AUTH SCRAM-SHA-256" + "-PLUS" * plus + " " + base64.b64encode(scram.first()).decode())
        said = client._shortcmd(base64.b64encode(scram.final(base64.b64decode(said[2:]))).decode())
        self.assertEqual(base64.b64decode(said[2:]), scram.signature)
        status = client._shortcmd("")[:3].decode()
        client.quit()  # the next one may have the maildrop
        return status

    def managesieve_login(self, plus, **spoilt):
        client = ManageSieve(self.target.host, self.target.port("SIEVE"), context=self.tls())
        self.addCleanup(client.close)
        scram = self.scram(client.socket, plus, **spoilt)
        client.send('AUTHENTICATE "SCRAM-SHA-256' + "-PLUS" * plus + f'" "{base64.b64encode(scram.first()).decode()}"')
        challenge = base64.b64decode(client.line().strip(b'"'))
        client.command(f'"{base64.b64encode(scram.final(challenge)).decode()}"')
        # RFC 5804 1.3: the server's proof comes with the OK.
        self.assertEqual(client.last, b'OK (SASL "' + base64.b64encode(scram.signature) + b'") "logged in"')

    def smtp_login(self, plus, **spoilt):
        client = smtplib.SMTP(self.target.host, self.target.port("SUBMISSION"), timeout=60)
        self.addCleanup(client.close)
        client.starttls(context=self.tls())
        client.ehlo()
        scram = self.scram(client.sock, plus, **spoilt)
        code, said = client.docmd("AUTH", "SCRAM-SHA-256" + "-PLUS" * plus + " " + base64.b64encode(scram.first()).decode())
        self.assertEqual(code, 334, said)
        code, said = client.docmd(base64.b64encode(scram.final(base64.b64decode(said))).decode())
        if code != 334:
            raise smtplib.SMTPAuthenticationError(code, said)
        self.assertEqual(base64.b64decode(said), scram.signature)
        return client.docmd("")[0]

    def test_both_forms_log_in_everywhere(self):
        for plus in (False, True):
            with self.subTest(plus=plus):
                self.assertEqual(self.imap_login(plus), "OK")
                self.assertEqual(self.pop3_login(plus), "+OK")
                self.assertEqual(self.smtp_login(plus), 235)
                self.managesieve_login(plus)

    def test_a_wrong_password_and_another_certificate_are_refused(self):
        for wrong in ({"password": "not this one"}, {"spoil": b"\0" * 32}):
            with self.subTest(wrong=wrong):
                with self.assertRaises(imaplib.IMAP4.error):
                    self.imap_login(True, **wrong)
                with self.assertRaises(poplib.error_proto):
                    self.pop3_login(True, **wrong)
                with self.assertRaises(smtplib.SMTPAuthenticationError):
                    self.smtp_login(True, **wrong)
                with self.assertRaises(Refused):
                    self.managesieve_login(True, **wrong)
