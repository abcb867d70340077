#!/usr/bin/python3
"""Starts a private OpenStack Swift with s3api on loopback: a real S3 endpoint for tests, from Debian's archive.

usage: swift.py [--serve] DIRECTORY PORT

Needs the packages swift-proxy, swift-account, swift-container, swift-object and memcached. One replica, one "disk" (a
directory), ports PORT to PORT+4. Prints "READY http://127.0.0.1:PORT" on standard output when the bucket "mail" exists
(access key "test:tester", secret "testing"), then serves until standard input is closed. A line on standard input does
something to the endpoint and is answered by "OK": pause (it accepts connections and never answers), resume, down, up.
With --serve it listens on every address and serves until it is killed, and may be started again on the same DIRECTORY.
Exit code 77: cannot run here; the reason is the last line of standard error.
"""
import getpass
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

PROGRAMS = ["memcached", "swift-ring-builder", "swift-proxy-server", "swift-account-server", "swift-container-server",
            "swift-object-server"]
CANNOT_RUN = 77

STORAGE_CONF = """[DEFAULT]
swift_dir = {dir}
devices = {dir}/disks
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
user = {user}
workers = 0
bind_ip = 127.0.0.1
bind_port = {port}
log_level = WARNING
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
[{kind}-replicator]
"""

PROXY_CONF = """[DEFAULT]
swift_dir = {dir}
user = {user}
workers = 0
bind_ip = {address}
bind_port = {port}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper cache s3api tempauth bulk slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 20
# Nobody else could answer: by default the proxy asks a server not for a minute after ten failures, and it fails until it has started.
error_suppression_limit = 1000000
error_suppression_interval = 1
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""

SWIFT_CONF = """[swift-hash]
swift_hash_path_prefix = merpati
swift_hash_path_suffix = test
[storage-policy:0]
name = one
default = yes
"""


def cannot(reason):
    print(reason, file=sys.stderr)
    sys.exit(CANNOT_RUN)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def make_ring(directory, kind, port):
    builder = os.path.join(directory, kind + ".builder")
    if os.path.exists(os.path.join(directory, kind + ".ring.gz")):
        return
    for arguments in (["create", "4", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
        done = subprocess.run(["swift-ring-builder", builder] + arguments, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):  # 1: warnings
            cannot(f"swift-ring-builder: {done.stdout}{done.stderr}")


def make_bucket(port):
    base = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(base + "/auth/v1.0",
                                     headers={"X-Storage-User": "test:tester", "X-Storage-Pass": "testing"})
    with opener.open(request, timeout=10) as answer:
        url, token = answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]
    for bucket in ("mail", "mail+segments"):
        opener.open(urllib.request.Request(f"{url}/{bucket}", method="PUT", headers={"X-Auth-Token": token}), timeout=10)


def wait_until_ready(servers, port, log_path):
    give_up = time.monotonic() + 60
    while True:
        ended = [server.args[0] for server in servers if server.poll() is not None]
        if ended:
            cannot(f"{ended[0]} ended at once; see {log_path}")
        try:
            return make_bucket(port)
        except OSError as error:
            if time.monotonic() > give_up:
                cannot(f"swift does not answer: {error}; see {log_path}")
            time.sleep(0.2)


def main():
    serve = sys.argv[1] == "--serve"
    directory, port = os.path.abspath(sys.argv[-2]), int(sys.argv[-1])
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        cannot("not installed: " + ", ".join(missing))
    os.makedirs(os.path.join(directory, "disks", "d1"), exist_ok=True)
    try:
        os.setxattr(os.path.join(directory, "disks"), "user.merpati", b"1")
    except OSError as error:
        cannot(f"{directory}: no extended attributes: {error}")
    write(os.path.join(directory, "swift.conf"), SWIFT_CONF)
    user = getpass.getuser()
    commands = [["memcached", "-l", "127.0.0.1", "-p", str(port + 4), "-U", "0", "-u", user]]
    for number, kind in enumerate(("account", "container", "object"), start=1):
        make_ring(directory, kind, port + number)
        conf = os.path.join(directory, kind + "-server.conf")
        write(conf, STORAGE_CONF.format(dir=directory, user=user, port=port + number, kind=kind))
        commands.append([f"swift-{kind}-server", conf])
    conf = os.path.join(directory, "proxy-server.conf")
    write(conf, PROXY_CONF.format(dir=directory, user=user, port=port, memcached=port + 4,
                                  address="0.0.0.0" if serve else "127.0.0.1"))
    commands.append(["swift-proxy-server", conf])

    servers = []

    def start():
        with open(log_path, "ab") as log:
            servers[:] = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                          for command in commands]
        wait_until_ready(servers, port, log_path)

    def kill():
        for server in servers:
            server.kill()
            server.wait()

    def send(number):
        for server in servers:
            server.send_signal(number)

    actions = {"pause": lambda: send(signal.SIGSTOP), "resume": lambda: send(signal.SIGCONT), "down": kill, "up": start}

    def stop(*_):
        for server in servers:
            server.kill()
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    log_path = os.path.join(directory, "swift.log")
    try:
        start()
        print(f"READY http://127.0.0.1:{port}", flush=True)
        if serve:
            servers[-1].wait()
            sys.exit("swift-proxy-server has ended; see " + log_path)
        for line in sys.stdin:
            actions[line.strip()]()
            print("OK", flush=True)
    finally:
        for server in servers:
            server.kill()


main()
