#!/usr/bin/env python3
"""Debian's Postfix and Dovecot as a private pair, to measure against: own configuration, own ports, own mail, fsync on.

  pair.py start --state DIR [--base 28100] [--accounts 1000] [--format sdbox]    starts both, writes DIR/target.env
  pair.py restart --state DIR        stops Dovecot, drops the kernel's caches where that is allowed, starts it again
  pair.py stop --state DIR

Set up as a careful administrator would: index caches on, mail_fsync=always, login processes in high-performance mode, cached
credentials, LMTP over a socket with as many processes as it profits from, no per-address limits in the way of a load test.
"""
import argparse, os, pathlib, shutil, signal, socket, subprocess, sys, time

PASSWORD = "secret-of-the-bench"


def ports(base):
    names = ["SMTP_PORT", "IMAP_PORT", "IMAPS_PORT", "POP3_PORT", "POP3S_PORT", "SUBMISSION_PORT"]
    return {name: base + i for i, name in enumerate(names)}


def write(path, text, mode=0o644):
    path.write_text(text)
    path.chmod(mode)


def make_certificate(state):
    if not (state / "cert.pem").exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                        "-subj", "/CN=localhost", "-keyout", state / "key.pem", "-out", state / "cert.pem"],
                       check=True, capture_output=True)


def dovecot_config(state, p, mail_format):
    location = {"maildir": "maildir:~/Maildir", "sdbox": "sdbox:~/sdbox", "mdbox": "mdbox:~/mdbox"}[mail_format]
    return f"""
base_dir = {state}/dovecot/run
state_dir = {state}/dovecot/state
log_path = {state}/dovecot/log
protocols = imap pop3 lmtp
listen = 127.0.0.1
default_internal_user = dovecot
default_login_user = dovenull
default_process_limit = 2000
default_client_limit = 12000
default_vsz_limit = 1G
first_valid_uid = 1
mail_uid = mail
mail_gid = mail
mail_home = {state}/mail/%n
mail_location = {location}
mail_fsync = always
mail_max_userip_connections = 2000
mailbox_list_index = yes
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_cache_size = 16M
auth_cache_ttl = 1 hour
ssl = yes
ssl_cert = <{state}/cert.pem
ssl_key = <{state}/key.pem
passdb {{
  driver = passwd-file
  args = scheme=SHA512-CRYPT username_format=%n {state}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={state}/mail/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {p['IMAP_PORT']}
  }}
  inet_listener imaps {{
    port = {p['IMAPS_PORT']}
    ssl = yes
  }}
  service_count = 0
  process_min_avail = {os.cpu_count()}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {p['POP3_PORT']}
  }}
  inet_listener pop3s {{
    port = {p['POP3S_PORT']}
    ssl = yes
  }}
  service_count = 0
}}
service imap {{
  service_count = 1000
  process_limit = 2000
  process_min_avail = {os.cpu_count() * 2}
}}
service lmtp {{
  process_min_avail = 8
  unix_listener {state}/dovecot/lmtp {{
    mode = 0666
  }}
}}
service anvil {{
  client_limit = 12000
}}
protocol lmtp {{
  info_log_path = /dev/null
}}
protocol imap {{
  info_log_path = /dev/null
}}
"""


def postfix_main(state, p):
    return f"""
compatibility_level = 3.6
queue_directory = {state}/postfix/spool
data_directory = {state}/postfix/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {state}/postfix/log/mail
maillog_file_prefixes = {state}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = pair.example.test
mydestination =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.test
virtual_mailbox_maps = regexp:{state}/postfix/etc/mailboxes
virtual_transport = lmtp:unix:{state}/dovecot/lmtp
local_recipient_maps =
alias_maps =
alias_database =
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
lmtp_destination_concurrency_limit = 20
lmtp_destination_recipient_limit = 1
initial_destination_concurrency = 20
default_process_limit = 100
in_flow_delay = 0
message_size_limit = 52428800
mailbox_size_limit = 0
virtual_mailbox_limit = 0
"""


def postfix_master(p):
    rows = [f"127.0.0.1:{p['SMTP_PORT']} inet n - n - 100 smtpd"]
    rows += ["pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "rewrite unix - - n - - trivial-rewrite",
             "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify",
             "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap", "proxywrite unix - - n - 1 proxymap", "smtp unix - - n - - smtp",
             "showq unix n - n - - showq", "error unix - - n - - error", "retry unix - - n - - error", "discard unix - - n - - discard",
             "lmtp unix - - n - - lmtp", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd"]
    return "\n".join(rows) + "\n"


def wait_for_port(port, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


def start_dovecot(state):
    subprocess.run(["dovecot", "-c", state / "dovecot.conf"], check=True)


def stop_dovecot(state):
    pid_file = state / "dovecot/run/master.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    try:
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.1)
    except ProcessLookupError:
        pass


def postfix(state, command):
    return subprocess.run(["postfix", "-c", state / "postfix/etc", command], capture_output=True, text=True)


def start(state, base, accounts, mail_format):
    p = ports(base)
    for folder in ["dovecot/run", "dovecot/state", "mail", "postfix/etc", "postfix/spool", "postfix/data", "postfix/log"]:
        (state / folder).mkdir(parents=True, exist_ok=True)
    state.chmod(0o755)
    shutil.chown(state / "mail", "mail", "mail")
    shutil.chown(state / "postfix/data", "postfix")
    shutil.chown(state / "postfix/log", "postfix")
    make_certificate(state)
    hashed = subprocess.run(["doveadm", "-c", "/dev/null", "pw", "-s", "SHA512-CRYPT", "-p", PASSWORD], capture_output=True, text=True)
    if hashed.returncode != 0:
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True)
    secret = hashed.stdout.strip().removeprefix("{SHA512-CRYPT}")
    write(state / "users", "".join(f"u{i}:{secret}\n" for i in range(1, accounts + 1)))
    write(state / "dovecot.conf", dovecot_config(state, p, mail_format))
    write(state / "postfix/etc/main.cf", postfix_main(state, p))
    write(state / "postfix/etc/master.cf", postfix_master(p))
    write(state / "postfix/etc/mailboxes", "/^u[0-9]+@example\\.test$/ ok\n")
    start_dovecot(state)
    started = postfix(state, "start")
    if started.returncode != 0:
        raise SystemExit("postfix: " + started.stderr)
    env = {"HOST": "127.0.0.1", "DOMAIN": "example.test", **p, "USER": "u1@example.test", "PASS": PASSWORD,
           "USER_TEMPLATE": "u%d@example.test", "CA_FILE": state / "cert.pem"}
    write(state / "target.env", "".join(f"{k}={v}\n" for k, v in env.items()))
    for name in ["SMTP_PORT", "IMAP_PORT", "IMAPS_PORT"]:
        wait_for_port(p[name])


def stop(state):
    postfix(state, "stop")
    stop_dovecot(state)


def restart(state):
    stop_dovecot(state)
    start_dovecot(state)


def processes(state):
    """The process ids of the pair's two masters and all below them."""
    roots = [int((state / f).read_text()) for f in ["dovecot/run/master.pid", "postfix/spool/pid/master.pid"] if (state / f).exists()]
    return descendants(roots)


def descendants(roots):
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["start", "stop", "restart"])
    parser.add_argument("--state", type=pathlib.Path, required=True)
    parser.add_argument("--base", type=int, default=28100)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--format", choices=["maildir", "sdbox", "mdbox"], default="sdbox")
    a = parser.parse_args()
    state = a.state.resolve()
    if a.command == "start":
        start(state, a.base, a.accounts, a.format)
        print(f"started; {state}/target.env")
    elif a.command == "stop":
        stop(state)
    else:
        restart(state)


if __name__ == "__main__":
    main()
