"""A little DNS server over UDP on loopback: every name has the host mail.<name> as its MX, and every mail.* an address.

`texts` adds TXT records: {"a.test": "v=spf1 -all"}. A name without any record does not exist where `texts` are given.
`addresses` adds A records: {"a.test": "192.0.2.1"}.
"""
import socket
import struct
import threading

A, MX, TXT = 1, 15, 16
NO_NAME = 3


def read_name(packet, at):
    """The labels of a question's name and what stands behind it."""
    labels = []
    while packet[at]:
        size = packet[at]
        labels.append(packet[at + 1:at + 1 + size])
        at += 1 + size
    return labels, at + 1


def wire(labels):
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def strings(text):
    """A TXT record's data: strings of at most 255 octets."""
    octets = text.encode()
    return b"".join(wire([octets[at:at + 255]])[:-1] for at in range(0, len(octets), 255))


def answer(packet, address, texts=None, addresses=None, ttl=0):
    labels, end = read_name(packet, 12)
    kind = struct.unpack("!H", packet[end:end + 2])[0]
    question = packet[12:end + 4]
    name = b".".join(labels).decode("ascii").lower()
    data, code = None, 0
    if kind == MX and labels[:1] != [b"mail"]:
        data = struct.pack("!H", 10) + wire([b"mail", *labels])
    elif kind == A and labels[:1] == [b"mail"]:
        data = socket.inet_aton(address)
    elif kind == A and name in (addresses or {}):
        data = socket.inet_aton(addresses[name])
    elif kind == TXT and name in (texts or {}):
        data = strings(texts[name])
    elif texts and name not in texts and not any(other.endswith("." + name) for other in texts):
        code = NO_NAME
    record = b"" if data is None else b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data
    return packet[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, 1 if record else 0, 0, 0) + question + record


class DnsServer:
    """`silent`: hears and says nothing. `ttl`: seconds for which answers may be remembered."""

    def __init__(self, port, address="127.0.0.1", texts=None, ttl=0):
        self.port, self.address, self.texts, self.ttl = port, address, texts, ttl
        self.silent, self.running = False, False
        self.addresses = {}
        self.start()

    def start(self):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.settimeout(0.05)
        server.bind((self.address, self.port))
        self.running = True
        self.thread = threading.Thread(target=self.serve, args=(server,), daemon=True)
        self.thread.start()

    def stop(self):
        """Closes the port: who asks is told that nobody is there."""
        self.running = False
        self.thread.join()

    def serve(self, server):
        with server:
            while self.running:
                try:
                    packet, client = server.recvfrom(4096)
                    if not self.silent:
                        server.sendto(answer(packet, self.address, self.texts, self.addresses, self.ttl), client)
                except (TimeoutError, IndexError, UnicodeDecodeError, struct.error):
                    continue
