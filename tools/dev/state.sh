# Where an instance keeps its things, and who runs its database.

# Options that up, down and ctl share; the rest is left in REST.
STATE= OFFSET=0 REST=()
parse_state() {
  REST=()
  while [ $# -gt 0 ]; do
    case $1 in
      --state) STATE=${2:-}; [ -n "$STATE" ] || die "--state needs a folder"; shift 2 ;;
      --state=*) STATE=${1#*=}; [ -n "$STATE" ] || die "--state needs a folder"; shift ;;
      *) REST+=("$1"); shift ;;
    esac
  done
  STATE=${STATE:-$ROOT/.merpati}
  case $STATE in /*) ;; *) STATE=$PWD/$STATE ;; esac
  # It stands in YAML, in SQL's connection strings and in shell files; blanks are fine.
  case $STATE in *[\'\"\\\$\`]* | *$'\n'*) die "the state's path has a quote, a backslash, \$ or a line end: $STATE" ;; esac
}

# The user that runs PostgreSQL, which refuses to run as root: whoever made the database, so that root can stop what
# another user started.
database_user() {
  if [ -e "$STATE/postgres/data" ]; then
    stat -c %U "$STATE/postgres/data"
  elif is_root; then
    echo postgres
  else
    id -un
  fi
}
as_database_user() { if is_root; then runuser -u "$(database_user)" -- "$@"; else "$@"; fi; }

# Moves the state to /var/lib when the database's user cannot enter the folder above it.
settle_state() {
  local quiet=${1:-} above=$STATE
  while [ ! -d "$above" ]; do above=$(dirname "$above"); done
  if is_root && ! as_database_user sh -c 'cd "$1" 2>/dev/null' sh "$above"; then
    local name moved
    name=$(printf '%s' "$STATE" | sha256sum | cut -c1-12)
    moved=/var/lib/merpati-dev/$(basename "$(dirname "$STATE")")-$name
    [ "$quiet" = quiet ] || say "the database's user ($(database_user)) cannot enter $above: the state is in $moved"
    STATE=$moved
  fi
}

make_state() {
  # A folder that was there keeps its mode: it may be anybody's.
  (umask 022 && mkdir -p "$STATE" && mkdir -p "$STATE"/{logs,run,secrets,objects,tmp}) ||
    die "cannot make the state folder $STATE; choose another with --state"
  [ -w "$STATE/run" ] || die "the state in $STATE belongs to $(stat -c %U "$STATE/run"); choose another with --state"
  chmod 700 "$STATE/secrets"
}

# One ./dev up at a time; the lock ends with it, so what it starts must not inherit descriptor 9.
lock_state() {
  exec 9>"$STATE/run/lock"
  flock -n 9 || die "another ./dev up is at work in $STATE; ./dev down$(state_option) stops what it has started"
}
unlock_state() { exec 9>&-; }
# As ./dev down and ./dev ctl want it.
state_option() { [ "$STATE" = "$ROOT/.merpati" ] || printf ' --state %q' "$STATE"; }

# secret NAME COMMAND...: a secret that is made once.
secret() {
  local file=$STATE/secrets/$1
  shift
  [ -s "$file" ] || (umask 077 && "$@" >"$file.new" && mv "$file.new" "$file")
  cat "$file"
}
password() { secret "password-$1" openssl rand -hex 8; }
