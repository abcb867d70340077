"""Compares FETCH answers of two servers, attribute by attribute, whatever their order and spelling of strings."""
import collections


class Parser:
    def __init__(self, data):
        self.data, self.at = data, 0

    def value(self):
        d = self.data
        while d[self.at:self.at + 1] == b" ":
            self.at += 1
        c = d[self.at:self.at + 1]
        if c == b"(":
            self.at += 1
            items = []
            while True:
                while d[self.at:self.at + 1] == b" ":
                    self.at += 1
                if d[self.at:self.at + 1] == b")":
                    self.at += 1
                    return tuple(items)
                items.append(self.value())
        if c == b'"':
            out, i = bytearray(), self.at + 1
            while d[i:i + 1] != b'"':
                if d[i:i + 1] == b"\\":
                    i += 1
                out += d[i:i + 1]
                i += 1
            self.at = i + 1
            return ("s", bytes(out))
        if c == b"{":
            end = d.index(b"}\r\n", self.at)
            size = int(d[self.at + 1:end])
            self.at = end + 3 + size
            return ("s", d[end + 3:self.at])
        start = self.at
        while d[self.at:self.at + 1] not in (b" ", b"(", b")", b"\r", b""):
            self.at += 1
        return d[start:self.at].upper()


def answers(path):
    """{sequence number: {attribute: value}} of a file of untagged FETCH responses."""
    data = path.read_bytes()
    parser, found = Parser(data), {}
    while parser.at < len(data):
        end = data.find(b"\r\n", parser.at)
        words = data[parser.at:end].split(b" ", 3)
        if len(words) > 2 and words[0] == b"*" and words[2].upper() == b"FETCH":
            parser.at = data.index(b"(", parser.at)
            items = parser.value()
            found[int(words[1])] = {items[i]: items[i + 1] for i in range(0, len(items), 2)}
            parser.at = data.index(b"\r\n", parser.at) + 2
        else:
            parser.at = end + 2 if end >= 0 else len(data)
    return found


def normal(attribute, value):
    if attribute == b"FLAGS":
        return frozenset(value) - {b"\\RECENT"}
    if attribute in (b"BODYSTRUCTURE", b"BODY"):
        return lower(value)
    if attribute == b"INTERNALDATE":  # RFC 9051 9, date-day-fixed: a day below 10 starts with a blank; Dovecot writes a 0
        return value[1].strip().rjust(26, b"0")
    return value


def lower(value):
    """Types, subtypes, parameter names and encodings are case-insensitive; so is, for this comparison, all of the structure."""
    if isinstance(value, tuple):
        return tuple(lower(v) for v in value)
    return value.lower() if isinstance(value, bytes) else value


def compare(ours, theirs):
    """(messages, equal messages, {attribute: (differing, an example)})"""
    a, b = answers(ours), answers(theirs)
    differing, examples, equal = collections.Counter(), {}, 0
    for number in sorted(a.keys() | b.keys()):
        same = True
        for attribute in a.get(number, {}).keys() | b.get(number, {}).keys():
            left = normal(attribute, a.get(number, {}).get(attribute))
            right = normal(attribute, b.get(number, {}).get(attribute))
            if left != right:
                same = False
                name = attribute.decode()
                differing[name] += 1
                examples.setdefault(name, f"message {number}: {left!r} / {right!r}")
        equal += same
    return len(a.keys() | b.keys()), equal, {name: (count, examples[name]) for name, count in differing.items()}
