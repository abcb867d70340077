"""An SMTP server that takes everything but recipients called refused… and remembers it: the remote host of tests."""
import collections
import socket
import socketserver
import threading

REFUSED = "refused"

class Sink:
    """`messages` maps a recipient's address to the messages that were acknowledged for it, `senders` to their reverse-paths."""

    def __init__(self, address="127.0.0.1"):
        self.messages = collections.defaultdict(list)
        self.senders = collections.defaultdict(list)
        self.forgotten = set()
        self.lock = threading.Lock()
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                sink.serve(self.rfile, self.wfile)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            address_family = socket.AF_INET

        self.server = Server((address, 0), Handler)
        self.address, self.port = self.server.server_address[:2]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def forget(self):
        """Begins anew; what may come again for recipients of before is taken and not remembered."""
        with self.lock:
            self.forgotten.update(self.messages)
            self.messages.clear()
            self.senders.clear()

    def serve(self, lines, out):
        def say(text):
            out.write(text.encode() + b"\r\n")
            out.flush()

        sender, recipients = "", []
        try:
            say("220 sink.test ESMTP")
            while True:
                line = lines.readline(10_000)
                if not line:
                    return
                verb = line[:4].upper()
                if verb == b"EHLO":
                    say("250-sink.test\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250 SIZE 100000000")
                elif verb == b"MAIL" or verb == b"RSET":
                    sender, recipients = line[line.find(b"<") + 1:line.find(b">")].decode(), []
                    say("250 2.0.0 ok")
                elif verb == b"RCPT":
                    recipient = line[line.index(b"<") + 1:line.index(b">")].decode()
                    if recipient.startswith(REFUSED):
                        say("550 5.1.1 nobody of that name")
                        continue
                    recipients.append(recipient)
                    say("250 2.1.5 ok")
                elif verb == b"DATA" and not recipients:
                    say("554 5.5.1 no valid recipients")
                elif verb == b"DATA":
                    say("354 go on")
                    body = []
                    while (line := lines.readline()) != b".\r\n":
                        if not line:
                            return
                        body.append(line[1:] if line.startswith(b".") else line)
                    with self.lock:
                        for recipient in recipients:
                            if recipient not in self.forgotten:
                                self.messages[recipient].append(b"".join(body))
                                self.senders[recipient].append(sender)
                    say("250 2.0.0 taken")
                elif verb == b"QUIT":
                    say("221 2.0.0 bye")
                    return
                else:
                    say("250 2.0.0 ok" if verb in (b"HELO", b"NOOP") else "502 5.5.1 no")
        except (OSError, ValueError):
            return
