#!/usr/bin/env python3
"""Runs protocol dialogs against a real server and tells where a server said something else.

    run_dialog.py --host 127.0.0.1 --port mx=2525 --port imaps=2993 --var user=alice@example.test FILE.txt ...

A file is a list of lines; blank lines and lines that start with # are skipped:

    connect mx              opens a connection to the port of that name; `connect imaps tls` starts TLS at once
    C: text                 sends text and CRLF
    C- text                 sends text as it is, without CRLF
    C* 1000 text            sends text 1000 times, without CRLF
    S: text                 the server's next line is exactly this
    S~ regex                the server's next line matches this regular expression as a whole
    S... regex              skips lines until one matches as a whole (300 lines at most)
    S! regex                the server's next line does not match; the next S sees the same line
    literal N               reads exactly N octets and forgets them
    quiet                   the server says nothing for 0.3 s
    starttls                shakes hands now
    eof                     the server closes, and says nothing more
    close                   the client closes
    use NAME                switches to another connection: `connect imap as b` names one, the first is `a`
    set NAME text           sets a variable

In texts \\r \\n \\t \\0 \\\\ and \\xNN are those octets, and ${name} is a variable, from --var or from a group (?P<name>...)
of an earlier regular expression (in regular expressions it is inserted quoted). ${base64:text} is the base64 of text,
inside which variables are written $name. Every wait ends after --timeout seconds (10).
Exit status: 0 when all dialogs went as written, 1 otherwise, with the dialog so far.
"""
import argparse
import base64
import pathlib
import re
import socket
import ssl
import sys


class Mismatch(Exception):
    pass


def unescape(text):
    out = bytearray()
    simple = {"r": 13, "n": 10, "t": 9, "0": 0, "\\": 92}
    at = 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            if text[at + 1] in simple:
                out.append(simple[text[at + 1]])
                at += 2
                continue
            if text[at + 1] == "x" and re.fullmatch("[0-9a-fA-F]{2}", text[at + 2:at + 4]):
                out.append(int(text[at + 2:at + 4], 16))
                at += 4
                continue
        out += text[at].encode("utf-8")
        at += 1
    return bytes(out)


class Connection:
    def __init__(self, host, port, timeout):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = host
        self.buffer = b""

    def start_tls(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if self.buffer:
            raise Mismatch(f"the server said {self.buffer!r} before the handshake")
        self.socket = context.wrap_socket(self.socket, server_hostname=None)

    def more(self):
        try:
            got = self.socket.recv(65536)
        except TimeoutError:
            raise Mismatch("the server said nothing in time")
        except (ConnectionError, ssl.SSLError) as error:
            raise Mismatch(f"the connection broke: {error}")
        self.buffer += got
        return bool(got)

    def line(self):
        while b"\n" not in self.buffer:
            if not self.more():
                raise Mismatch(f"the server closed the connection (after {self.buffer!r})")
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r"):
            raise Mismatch(f"a line without CR: {line!r}")
        return line[:-1].decode("utf-8", "surrogateescape")


class Dialog:
    def __init__(self, options):
        self.options = options
        self.variables = dict(options.variables)
        self.connections = {}
        self.current = None
        self.transcript = []

    def expand(self, text, quote=lambda value: value):
        def encoded(match):
            inner = re.sub(r"\$(\w+)", lambda name: self.lookup(name[1]), match[1])
            return quote(base64.b64encode(unescape(inner)).decode())
        text = re.sub(r"\$\{base64:([^}]*)\}", encoded, text)
        return re.sub(r"\$\{(\w+)\}", lambda match: quote(self.lookup(match[1])), text)

    def lookup(self, name):
        if name not in self.variables:
            raise Mismatch(f"no variable {name}; give it with --var {name}=...")
        return self.variables[name]

    @property
    def on(self):
        if self.current not in self.connections:
            raise Mismatch("no connection: write `connect PORT` first")
        return self.connections[self.current]

    def matches(self, pattern, line):
        found = re.fullmatch(self.expand(pattern, re.escape), line)
        if found:
            self.variables.update({k: v for k, v in found.groupdict().items() if v is not None})
        return found

    def send(self, octets, shown):
        self.transcript.append(f"C: {shown}")
        try:
            self.on.socket.sendall(octets)
        except OSError as error:
            # The server may have hung up with a reason, which the next S: line reads.
            self.transcript.append(f"   (sending failed: {error})")

    def read(self):
        line = self.on.line()
        self.transcript.append(f"S: {line}")
        return line

    def step(self, line):
        word, _, rest = line.partition(" ")
        rest = rest.rstrip("\n")
        if word == "connect":
            words = rest.split()
            name = words[words.index("as") + 1] if "as" in words else "a"
            if words[0] not in self.options.ports:
                raise Mismatch(f"no port {words[0]}; give it with --port {words[0]}=...")
            self.current = name
            self.connections[name] = Connection(self.options.host, self.options.ports[words[0]], self.options.timeout)
            if "tls" in words:
                self.on.start_tls()
        elif word == "C:":
            text = self.expand(rest)
            self.send(unescape(text) + b"\r\n", text)
        elif word == "C-":
            text = self.expand(rest)
            self.send(unescape(text), text)
        elif word == "C*":
            count, _, text = rest.partition(" ")
            self.send(unescape(self.expand(text)) * int(count), f"{text} x {count}")
        elif word == "S:":
            expected = unescape(self.expand(rest)).decode("utf-8", "surrogateescape")
            got = self.read()
            if got != expected:
                raise Mismatch(f"expected: {expected}")
        elif word == "S~":
            if not self.matches(rest, self.read()):
                raise Mismatch(f"expected a line like: {rest}")
        elif word == "S...":
            for _ in range(300):
                if self.matches(rest, self.read()):
                    return
            raise Mismatch(f"no line like: {rest}")
        elif word == "S!":
            got = self.read()
            if self.matches(rest, got):
                raise Mismatch(f"unwanted: {got}")
            self.on.buffer = got.encode("utf-8", "surrogateescape") + b"\r\n" + self.on.buffer
        elif word == "literal":
            need = int(self.expand(rest))
            while len(self.on.buffer) < need:
                if not self.on.more():
                    raise Mismatch("the server closed the connection")
            self.on.buffer = self.on.buffer[need:]
        elif word == "quiet":
            self.on.socket.settimeout(0.3)
            try:
                if self.on.buffer or self.on.more():
                    raise Mismatch(f"the server said {self.on.buffer!r}")
            except Mismatch as silence:
                if "nothing in time" not in str(silence):
                    raise
            finally:
                self.on.socket.settimeout(self.options.timeout)
        elif word == "starttls":
            self.on.start_tls()
        elif word == "eof":
            try:
                got = self.on.buffer or (self.on.more() and self.on.buffer)
            except Mismatch as broken:
                if "in time" in str(broken):
                    raise
                got = b""
            if got:
                raise Mismatch(f"expected the end, got {got!r}")
        elif word == "close":
            self.on.socket.close()
        elif word == "use":
            self.current = rest.strip()
        elif word == "set":
            name, _, text = rest.partition(" ")
            self.variables[name] = self.expand(text)
        else:
            raise Mismatch(f"unknown directive {word}")

    def run(self, path):
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                self.step(line)
            except (Mismatch, OSError) as what:
                for said in self.transcript[-40:]:
                    print(f"    {said}")
                print(f"FAILED {path}:{number}: {line}\n    {what}")
                return False
        return True

    def close(self):
        for connection in self.connections.values():
            connection.socket.close()


def pair(text):
    name, _, value = text.partition("=")
    return name, value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=pair, action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--var", type=pair, action="append", default=[], metavar="NAME=TEXT")
    parser.add_argument("--timeout", type=float, default=10)
    parser.add_argument("files", nargs="+", type=pathlib.Path, help="dialogs, or directories of *.txt")
    options = parser.parse_args()
    options.ports = {name: int(number) for name, number in options.port}
    options.variables = dict(options.var)
    files = [file for path in options.files for file in (sorted(path.rglob("*.txt")) if path.is_dir() else [path])]
    failed = 0
    for file in files:
        dialog = Dialog(options)
        good = dialog.run(file)
        dialog.close()
        failed += not good
        if good:
            print(f"ok     {file}")
    print(f"{len(files) - failed} of {len(files)} dialogs went as written")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
