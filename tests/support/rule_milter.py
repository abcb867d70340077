#!/usr/bin/python3
"""A milter by Debian's python3-milter that does what addresses, names and a header field of a message tell it to.

usage: rule_milter.py SOCKET LOG    (SOCKET as libmilter writes it: "unix:/path", "inet:PORT@127.0.0.1")

"reject+x@..." as a sender or recipient, "reject.test" as the name in HELO and "X-Rule: reject" in the header refuse there;
so do tempfail, reply (450 4.7.9 and two lines), discard, accept, die (the program ends) and hang. Clients 127.0.0.66 and 127.0.0.67
are refused at the connection. At the end "X-Rule" also changes the message: see RULES. LOG gets a line of JSON for each stage.
"""
import json
import os
import sys
import threading
import time

import Milter

LOCK = threading.Lock()
HANG = 3600  # seconds; nobody waits for that long
RULES = {
    "addheader": lambda milter: milter.addheader("X-Added", "at the end\n\tfolded"),
    "insheader": lambda milter: milter.addheader("X-Inserted", "on top", 0),
    "chgheader": lambda milter: milter.chgheader("Subject", 1, "changed"),
    "delheader": lambda milter: milter.chgheader("X-Many", 2, ""),
    "replbody": lambda milter: milter.replacebody(b"a new body\r\n" + b"x" * 200 + b"\r\n"),
    "largebody": lambda milter: milter.replacebody((b"y" * 70 + b"\r\n") * 20000),
    "addrcpt": lambda milter: milter.addrcpt("<" + milter.argument + ">"),
    "addrcpt_par": lambda milter: milter.addrcpt("<" + milter.argument + ">", "NOTIFY=NEVER"),
    "delrcpt": lambda milter: milter.delrcpt("<" + milter.argument + ">"),
    "chgfrom": lambda milter: milter.chgfrom("<" + milter.argument + ">"),
    "quarantine": lambda milter: milter.quarantine("it smells"),
    "progress": lambda milter: milter.progress(),
}


class RuleMilter(Milter.Base):
    def __init__(self):
        self.id = Milter.uniqueID()
        self.rules = []
        self.argument = ""
        self.size = 0

    def note(self, stage, *what):
        with LOCK, open(LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps([self.id, stage, *what]) + "\n")

    def macros(self, *names):
        return {name: self.getsymval(name) for name in names if self.getsymval(name) is not None}

    def answer(self, rule):
        if rule == "reject":
            return Milter.REJECT
        if rule == "tempfail":
            return Milter.TEMPFAIL
        if rule == "discard":
            return Milter.DISCARD
        if rule == "accept":
            return Milter.ACCEPT
        if rule == "reply":
            self.setreply("450", "4.7.9", "not now", "but 100%% later")
            return Milter.TEMPFAIL
        if rule == "own":
            self.setreply("559", "5.9.9", "refused in words of its own")
            return Milter.REJECT
        if rule == "die":
            os._exit(1)
        if rule == "hang":
            time.sleep(HANG)
        return Milter.CONTINUE

    def connect(self, hostname, family, hostaddr):
        address = hostaddr[0] if hostaddr else ""
        self.note("connect", hostname, address, self.macros("j", "{daemon_name}", "{client_addr}"))
        if address == "127.0.0.66":
            self.setreply("554", "5.7.1", "no connections from 66")
            return Milter.REJECT
        return self.answer("tempfail" if address == "127.0.0.67" else "")

    def hello(self, hostname):
        self.note("helo", hostname, self.macros("{tls_version}", "{cipher}"))
        return self.answer(hostname.split(".")[0])

    def envfrom(self, mailfrom, *parameters):
        self.rules, self.argument, self.size = [], "", 0
        self.note("mail", mailfrom, list(parameters), self.macros("i", "{auth_authen}", "{auth_type}", "{mail_addr}"))
        return self.answer(mailfrom.strip("<>").split("+")[0])

    def envrcpt(self, to, *parameters):
        self.note("rcpt", to, list(parameters), self.macros("{rcpt_mailer}", "{rcpt_addr}"))
        return self.answer(to.strip("<>").split("@")[0].split("+")[-1])

    def data(self):
        self.note("data")
        return Milter.CONTINUE

    def unknown(self, command):
        self.note("unknown", command)
        return Milter.CONTINUE

    def header(self, name, value):
        if name.lower() == "x-rule":
            words = value.split()
            self.rules += words[:1]
            self.argument = words[1] if len(words) > 1 else self.argument
        if name.lower() == "x-early":
            return self.answer(value.strip())
        return Milter.CONTINUE

    def eoh(self):
        return Milter.CONTINUE

    def body(self, chunk):
        self.size += len(chunk)
        return Milter.CONTINUE

    def eom(self):
        self.note("eom", self.rules, self.size, self.macros("i", "{msg_id}"))
        result = Milter.CONTINUE
        for rule in self.rules:
            if rule in RULES:
                RULES[rule](self)
            else:
                result = self.answer(rule)
        return result

    def abort(self):
        self.note("abort")
        return Milter.CONTINUE

    def close(self):
        self.note("close")
        return Milter.CONTINUE


if __name__ == "__main__":
    SOCKET, LOG = sys.argv[1:]
    Milter.factory = RuleMilter
    Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGBODY | Milter.ADDRCPT | Milter.ADDRCPT_PAR | Milter.DELRCPT |
                     Milter.CHGFROM | Milter.QUARANTINE)
    Milter.runmilter("rules", SOCKET, 600)
