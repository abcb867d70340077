# Where an instance keeps its things, and who runs its database.

# Options that up, down and ctl share; the rest is left in REST.
STATE= OFFSET=0 REST=()
parse_state() {
  REST=()
  while [ $# -gt 0 ]; do
    case $1 in
      --state) STATE=${2:?--state needs a folder}; shift 2 ;;
      --state=*) STATE=${1#*=}; shift ;;
      *) REST+=("$1"); shift ;;
    esac
  done
  STATE=${STATE:-$ROOT/.merpati}
  case $STATE in /*) ;; *) STATE=$PWD/$STATE ;; esac
}

# The user that runs PostgreSQL, which refuses to run as root.
database_user() { if is_root; then echo postgres; else id -un; fi; }
as_database_user() { if is_root; then runuser -u postgres -- "$@"; else "$@"; fi; }

# Moves the state to /var/lib when the database's user cannot enter the folder above it.
settle_state() {
  local quiet=${1:-} above=$STATE
  while [ ! -d "$above" ]; do above=$(dirname "$above"); done
  if is_root && ! as_database_user sh -c 'cd "$1" 2>/dev/null' sh "$above"; then
    local name moved
    name=$(printf '%s' "$STATE" | sha256sum | cut -c1-12)
    moved=/var/lib/merpati-dev/$(basename "$(dirname "$STATE")")-$name
    [ "$quiet" = quiet ] || say "the database's user (postgres) cannot enter $above: the state is in $moved"
    STATE=$moved
  fi
}

make_state() {
  mkdir -p "$STATE"/{logs,run,secrets,objects,tmp} || die "cannot make the state folder $STATE"
  chmod 755 "$STATE"
  chmod 700 "$STATE/secrets"
}

# secret NAME COMMAND...: a secret that is made once.
secret() {
  local file=$STATE/secrets/$1
  shift
  [ -s "$file" ] || (umask 077 && "$@" >"$file.new" && mv "$file.new" "$file")
  cat "$file"
}
password() { secret "password-$1" openssl rand -hex 8; }
