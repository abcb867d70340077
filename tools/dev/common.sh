# Small things that every part of ./dev uses.

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() {
  printf 'dev: %s\n' "$*" >&2
  exit 1
}
# number NAME TEXT: the number in decimal, without leading zeros.
number() {
  case $2 in '' | *[!0-9]*) die "$1 needs a number, not \"$2\"" ;; esac
  [ ${#2} -le 9 ] || die "$1 $2 is too large"
  echo $((10#$2))
}
is_root() { [ "$(id -u)" = 0 ]; }

# A command as root: directly, or by sudo.
as_root() {
  if is_root; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "root is needed for: $* (there is no sudo)"
  fi
}

jobs_count() { echo "${MERPATI_JOBS:-$(nproc)}"; }

# How many times as long everything may take: the programs of a sanitizer are slow. From the environment (of a test), or as
# the preset was configured.
patience() {
  local preset=${PRESET:-${MERPATI_PRESET:-release}}
  echo "${MERPATI_PATIENCE:-$(sed -n 's/^MERPATI_PATIENCE:[^=]*=//p' "$ROOT/build/$preset/CMakeCache.txt" 2>/dev/null | grep . || echo 1)}"
}

# wait_until SECONDS COMMAND...: polls until the command succeeds.
wait_until() {
  local end=$((SECONDS + $1 * $(patience)))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}
