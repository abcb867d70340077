"""Real-looking mail, sound and broken, as the bytes that go over the wire (lines end with CRLF, the last one too)."""
import base64
import hashlib
import pathlib
import random
import subprocess


def crlf(text):
    data = text.encode("utf-8") if isinstance(text, str) else text
    data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def head(name, extra=""):
    return (f"Date: Mon, 02 Nov 2026 10:11:12 +0100\nMessage-ID: <{name}.{hashlib.sha256(name.encode()).hexdigest()[:12]}"
            f"@sender.test>\nFrom: Anna Sender <anna@sender.test>\nTo: someone@example.test\nSubject: {name}\n{extra}")


def wrapped_base64(data):
    return base64.encodebytes(data).decode()


def attachment(name, size):
    body = wrapped_base64(random.Random(name).randbytes(size))
    return crlf(head(name, 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n') + "\n--b\n"
                "Content-Type: text/plain; charset=utf-8\n\nThe file is attached.\n--b\n"
                'Content-Type: application/octet-stream; name="data.bin"\nContent-Transfer-Encoding: base64\n'
                f'Content-Disposition: attachment; filename="data.bin"\n\n{body}--b--\n')


def nested(depth):
    inner = "Content-Type: text/plain\n\nthe kernel\n"
    for level in range(depth):
        kind = ["mixed", "related", "alternative"][level % 3]
        inner = (f'Content-Type: multipart/{kind}; boundary="level-{level}"\n\npreamble\n--level-{level}\n{inner}\n'
                 f"--level-{level}\nContent-Type: text/html\n\n<p>{level}</p>\n--level-{level}--\nepilogue\n")
    return crlf(head(f"nested-{depth}", "MIME-Version: 1.0\n") + inner)


def forwarded(depth):
    message = head("innermost") + "\nhello\n"
    for level in range(depth):
        message = (head(f"forward-{level}", f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="f{level}"\n')
                   + f"\n--f{level}\n\nsee below\n--f{level}\nContent-Type: message/rfc822\n\n{message}\n--f{level}--\n")
    return crlf(message)


def sound():
    """(name, bytes) of mail that follows the RFCs."""
    yield "plain", crlf(head("plain") + "\nHello,\n\nthis is plain.\n")
    yield "dots", crlf(head("dots") + "\n.\n..\n.hidden\n...\nend.\n.\n")
    yield "empty-body", crlf(head("empty-body") + "\n")
    yield "long-lines", crlf(head("long-lines") + "\n" + "x" * 998 + "\n" + "y" * 997 + "\n")
    yield "white-space", crlf(head("white-space") + "\n trailing  \n\ttab\t\n\n\n   \n")
    yield "folded", crlf(head("folded", "X-Long: " + "\n ".join(["word" * 10] * 40) + "\nX-Tab: a\n\tb\n") + "\nbody\n")
    yield "encoded-words", crlf(head("encoded-words", "X-Other: =?iso-8859-1?Q?Gr=FC=DFe?= =?utf-8?B?8J+Qpg==?=\n") + "\nb\n")
    yield "utf8-body", crlf(head("utf8-body", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                                 "Content-Transfer-Encoding: 8bit\n") + "\nGrüße aus Köln: 鳩 🐦\n")
    yield "latin1-body", crlf((head("latin1-body", "MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n"
                                    "Content-Transfer-Encoding: 8bit\n") + "\nGrüße\n").encode("latin-1"))
    yield "quoted-printable", crlf(head("quoted-printable", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                                        "Content-Transfer-Encoding: quoted-printable\n") + "\nGr=C3=BC=C3=9Fe=20\nsoft=\nbreak\n")
    yield "alternative", crlf(head("alternative", 'MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="=_a"\n')
                              + "\n--=_a\nContent-Type: text/plain\n\nplain\n--=_a\nContent-Type: text/html\n\n<b>html</b>\n--=_a--\n")
    yield "rfc2231", crlf(head("rfc2231", "MIME-Version: 1.0\nContent-Type: application/pdf;\n name*0*=UTF-8''%e2%82%ac%20;\n"
                               " name*1=rates.pdf\nContent-Transfer-Encoding: base64\n") + "\n" + wrapped_base64(b"%PDF-1.4") + "")
    yield "nested-12", nested(12)
    yield "forwarded-4", forwarded(4)
    yield "many-parts", crlf(head("many-parts", 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="m"\n') + "\n"
                             + "".join(f"--m\nContent-Type: text/plain\nContent-ID: <{i}@x>\n\npart {i}\n" for i in range(150))
                             + "--m--\n")
    yield "report", crlf(head("report", 'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="r"\n')
                         + "\n--r\n\nIt failed.\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x.test\n\n"
                         "Final-Recipient: rfc822; y@x.test\nAction: failed\nStatus: 5.1.1\n--r\nContent-Type: text/rfc822-headers\n\n"
                         "Subject: it\n--r--\n")
    yield "groups-and-comments", crlf(
        "Date: Mon, 2 Nov 2026 10:11:12 +0100 (CET)\nMessage-ID: <g@sender.test>\nFrom: \"Anna \\\"A\\\" (x)\" (comment)"
        " <anna@sender.test>\nTo: Friends: bert@x.test, \"C, D\" <cd@x.test>;, undisclosed:;\nSubject: groups\n\nbody\n")
    yield "attachment-1M", attachment("attachment-1M", 750_000)


def broken():
    """(name, bytes) of mail that breaks the RFCs, as real senders do."""
    yield "no-blank-line", crlf(head("no-blank-line") + "this line is no header field\nnor is this\n")
    yield "headers-only", crlf(head("headers-only"))
    yield "no-closing-boundary", crlf(head("no-closing-boundary", 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="n"\n')
                                      + "\n--n\nContent-Type: text/plain\n\nleft open\n")
    yield "boundary-never-comes", crlf(head("boundary-never-comes", 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="zz"\n')
                                       + "\njust text\n--other\n")
    yield "no-boundary", crlf(head("no-boundary", "MIME-Version: 1.0\nContent-Type: multipart/mixed\n") + "\n--x\n\ntext\n--x--\n")
    yield "nested-same-boundary", crlf(head("nested-same-boundary", 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="s"\n')
                                       + '\n--s\nContent-Type: multipart/mixed; boundary="s"\n\n--s\n\na\n--s--\n--s--\n')
    yield "bad-base64", crlf(head("bad-base64", "MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n")
                             + "\n!!!not base64 at all===\nAAAA=A\n")
    yield "unknown-encoding", crlf(head("unknown-encoding", "MIME-Version: 1.0\nContent-Type: text/plain; charset=x-nowhere\n"
                                        "Content-Transfer-Encoding: x-magic\n") + "\nabra\n")
    yield "double-content-type", crlf(head("double-content-type", 'MIME-Version: 1.0\nContent-Type: text/plain\n'
                                           'Content-Type: multipart/mixed; boundary="q"\n') + "\n--q\n\nhm\n--q--\n")
    yield "raw-8bit-header", crlf(b"Date: Mon, 02 Nov 2026 10:11:12 +0100\nMessage-ID: <raw8@sender.test>\nFrom: M\xfcller "
                                  b"<m@sender.test>\nTo: x@example.test\nSubject: Gr\xfc\xdfe\n\nbody\n")
    yield "raw-utf8-header", crlf("Date: Mon, 02 Nov 2026 10:11:12 +0100\nMessage-ID: <rawu8@sender.test>\nFrom: Müller "
                                  "<m@sender.test>\nTo: x@example.test\nSubject: Grüße 鳩\n\nbody\n")
    yield "bad-from-and-date", crlf("Date: yesterday, I think\nMessage-ID: <no angle\nFrom: @@@<>>\nTo: ,,;:\nSubject: =?x?Q?\n\nb\n")
    yield "colonless-mime", crlf(head("colonless-mime", "MIME-Version: 1.0\nContent-Type multipart/mixed; boundary=q\n") + "\n--q\n\n--q--\n")
    yield "deep", nested(60)
    yield "tab-only-fold", crlf(head("tab-only-fold", "X-Empty:\n \nX-Next: v\n") + "\nbody\n")


def smime(folder):
    """A message signed by openssl, and the authority to verify it with (paths inside `folder`)."""
    folder = pathlib.Path(folder)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
                    "/CN=Anna Sender/emailAddress=anna@sender.test", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)
    (folder / "body.txt").write_bytes(crlf("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
                                           "Signed: Grüße,\n\n.dots and trailing  \n"))
    signed = subprocess.run(["openssl", "smime", "-sign", "-binary", "-crlfeol", "-in", folder / "body.txt", "-signer",
                             folder / "cert.pem", "-inkey", folder / "key.pem"], check=True, capture_output=True).stdout
    return crlf(head("smime").encode() + signed), folder / "cert.pem"


def verify_smime(message, authority):
    """Whether openssl finds the signature good over exactly these bytes."""
    done = subprocess.run(["openssl", "smime", "-verify", "-binary", "-CAfile", authority, "-out", "/dev/null"],
                          input=message, capture_output=True, check=False)
    return done.returncode == 0


def pgp(folder):
    """A PGP/MIME message signed by a fresh key in the GnuPG home `folder`."""
    base = ["gpg", "--homedir", str(folder), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run(base + ["--quick-gen-key", "anna@sender.test", "ed25519", "sign", "never"], check=True, capture_output=True)
    part = crlf("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nSigned: Gr=C3=BC=C3=9Fe\n")
    part = part[:-2]  # RFC 3156 5: the CRLF before the boundary belongs to it
    signature = subprocess.run(base + ["--armor", "--detach-sign"], input=part, check=True, capture_output=True).stdout
    return (crlf(head("pgp", 'MIME-Version: 1.0\nContent-Type: multipart/signed; micalg=pgp-sha512;\n'
                      ' protocol="application/pgp-signature"; boundary="pgp"\n') + "\n--pgp")
            + part + b"\r\n--pgp\r\nContent-Type: application/pgp-signature\r\n\r\n" + crlf(signature) + b"--pgp--\r\n")


def verify_pgp(message, folder):
    part, rest = message.split(b"\r\n--pgp\r\n", 1)[1].split(b"\r\n--pgp\r\n", 1)
    (pathlib.Path(folder) / "sig").write_bytes(rest[rest.index(b"-----BEGIN"):rest.index(b"--pgp--")])
    done = subprocess.run(["gpg", "--homedir", str(folder), "--batch", "--verify", str(pathlib.Path(folder) / "sig"), "-"],
                          input=part, capture_output=True, check=False)
    return done.returncode == 0
