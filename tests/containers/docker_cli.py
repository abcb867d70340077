"""The docker command, and what it says."""
import json
import subprocess


class DockerError(RuntimeError):
    pass


def docker(*arguments, check=True, timeout=180):
    """Standard output of `docker ARGUMENTS`, without the end of line."""
    done = subprocess.run(["docker", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise DockerError(f"docker {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout.strip()


def succeeds(*arguments, timeout=60):
    return subprocess.run(["docker", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=timeout, check=False).returncode == 0


def inspect(kind, name):
    return json.loads(docker(kind, "inspect", name))[0]


def answers():
    try:
        return succeeds("version")
    except (OSError, subprocess.TimeoutExpired):
        return False
