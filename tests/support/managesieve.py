"""A ManageSieve client (RFC 5804) for tests: commands as text, answers as lists of lines."""
import base64
import re
import socket


class Refused(Exception):
    """NO or BYE."""


class ManageSieve:
    def __init__(self, host, port, context=None, timeout=60):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.file = self.socket.makefile("rb")
        self.capabilities = self.answer()
        if context:
            self.command("STARTTLS")
            self.file.close()
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
            self.file = self.socket.makefile("rb")
            self.capabilities = self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def line(self):
        """With the octets of literals in it."""
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the server has closed")
        literal = re.search(rb"\{(\d+)\}\r\n$", line)
        if literal:
            return line + self.file.read(int(literal[1])) + self.line()
        return line[:-2]

    def answer(self):
        """The lines before OK; Refused with the last line otherwise."""
        lines = []
        while True:
            line = self.line()
            if re.match(rb"(NO|BYE)\b", line, re.I):
                raise Refused(line.decode())
            if re.match(rb"OK\b", line, re.I):
                self.last = line
                return lines
            lines.append(line)

    def send(self, command):
        self.socket.sendall((command.encode() if isinstance(command, str) else command) + b"\r\n")

    def command(self, command):
        self.send(command)
        return self.answer()

    @staticmethod
    def literal(text):
        octets = text.encode() if isinstance(text, str) else text
        return b"{%d+}\r\n%s" % (len(octets), octets)

    def login(self, user, password):
        said = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f'AUTHENTICATE "PLAIN" "{said}"')

    def put(self, name, script):
        return self.command(b"PUTSCRIPT " + self.literal(name) + b" " + self.literal(script))

    def get(self, name):
        (found,) = self.command(b"GETSCRIPT " + self.literal(name))
        head, _, rest = found.partition(b"\r\n")
        return rest[:int(head[1:-1])]

    def activate(self, name):
        return self.command(b"SETACTIVE " + self.literal(name))

    def scripts(self):
        """{name: active}"""
        found = {}
        for line in self.command("LISTSCRIPTS"):
            active = line.endswith(b" ACTIVE")
            found[line.removesuffix(b" ACTIVE").strip(b'"').decode()] = active
        return found
