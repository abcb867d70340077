# up, down, ctl: an instance with a domain and people in it.

MODE=allinone

names_of_mode() { if [ "$MODE" = services ]; then echo "${SERVICES[@]}"; else echo merpati; fi; }
ctl() { "$ROOT/build/$PRESET/bin/merpatictl" --config "$STATE/merpatictl.yaml" "$@"; }

start_instance() {
  local bin=$ROOT/build/$PRESET/bin/merpati name
  ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
  if [ "$MODE" = allinone ]; then
    write_config "$STATE/merpati.yaml" allinone merpati
    start_process merpati "$bin" --config "$STATE/merpati.yaml"
    await_ready merpati "$(http_port merpati)"
    return
  fi
  mkdir -p "$STATE/services"
  for name in "${SERVICES[@]}"; do write_config "$STATE/services/$name.yaml" services "$name"; done
  "$bin" migrate --config "$STATE/services/auth.yaml" >>"$STATE/logs/migrate.log" 2>&1 || {
    tail -n 5 "$STATE/logs/migrate.log" >&2
    die "the migrations failed; their log is $STATE/logs/migrate.log"
  }
  for name in "${SERVICES[@]}"; do start_process "$name" "$bin" "$name" --config "$STATE/services/$name.yaml"; done
  for name in "${SERVICES[@]}"; do await_ready "$name" "$(http_port "$name")"; done
}

# People: alice and bob, and u1 to uN in thousands.
make_accounts() {
  local count=$1 name
  ctl domain create example.test --if-missing >/dev/null
  for name in alice bob; do
    password $name | ctl account create "$name@example.test" --password-stdin --if-missing >/dev/null
  done
  if [ "$count" -gt 0 ]; then
    say "making u1 to u$count@example.test"
    password alice | ctl account create-many "u%d@example.test" --count "$count" --password-stdin >/dev/null
  fi
}

print_instance() {
  local short=$STATE
  [ "${STATE#"$PWD"/}" = "$STATE" ] || short=${STATE#"$PWD"/}
  short=$(printf %q "$short")
  cat <<TEXT

Merpati is up ($MODE), its state is in $STATE
  SMTP $(port 2525)   submission $(port 2587) (STARTTLS), $(port 2465) (TLS)   IMAP $(port 2143), $(port 2993) (TLS)   POP3 $(port 2110), $(port 2995) (TLS)   ManageSieve $(port 4190)
  admin gRPC $(grpc_port admin)   metrics http://127.0.0.1:$(http_port "$( [ "$MODE" = services ] && echo smtp || echo merpati )")/metrics
  alice@example.test  $(password alice)
  bob@example.test    $(password bob)$([ "$1" -gt 0 ] && printf '\n  u1 to u%s@example.test  %s' "$1" "$(password alice)")
  clients' settings: $short/target.env   logs: $short/logs

Send:
  printf 'From: alice@example.test\nTo: bob@example.test\nSubject: Hello\n\nHello Bob.\n' | curl -sS --ssl-reqd --cacert $short/tls/ca.pem --crlf --url smtp://localhost:$(port 2587) --user alice@example.test:$(password alice) --mail-from alice@example.test --mail-rcpt bob@example.test --upload-file -
Read:
  curl -sS --cacert $short/tls/ca.pem --user bob@example.test:$(password bob) 'imaps://localhost:$(port 2993)/INBOX;MAILINDEX=*'
Administer:
  ./build/$PRESET/bin/merpatictl --config $short/merpatictl.yaml account list example.test

TEXT
}

stop_instance() {
  # shellcheck disable=SC2046
  stop_processes smtp pop3 imap sieve merpati
  stop_processes auth store filter queue admin
  stop_postgres
  rm -f "$STATE/run/up.env"
}

settings() { printf 'MODE=%s\nOFFSET=%s\nPRESET=%s\n' "$MODE" "$OFFSET" "$PRESET"; }
# What the instance that runs was started with.
instance_settings() { cat "$STATE/run/up.env" 2>/dev/null || true; }

cmd_up() {
  local detach=no accounts=0 build=yes before
  PRESET=${MERPATI_PRESET:-release}
  parse_state "$@"
  set -- "${REST[@]}"
  while [ $# -gt 0 ]; do
    case $1 in
      --services) MODE=services; shift ;;
      --detach) detach=yes; shift ;;
      --port-offset) OFFSET=$(number --port-offset "${2:-}"); shift 2 ;;
      --port-offset=*) OFFSET=$(number --port-offset "${1#*=}"); shift ;;
      --accounts) accounts=$(number --accounts "${2:-}"); shift 2 ;;
      --accounts=*) accounts=$(number --accounts "${1#*=}"); shift ;;
      --preset) PRESET=${2:-}; shift $(($# > 1 ? 2 : 1)) ;;
      --preset=*) PRESET=${1#*=}; shift ;;
      -h | --help) help; return ;;
      --no-build) build=no; shift ;;
      *) die "up does not know \"$1\"; see ./dev help" ;;
    esac
  done
  check_preset "$PRESET"
  [ "$OFFSET" -le 15000 ] || die "--port-offset is at most 15000: gRPC begins at 50051, and ports end at 65535"
  install_packages build run
  if [ $build = yes ]; then
    build_targets "$PRESET" merpati merpatictl
  elif [ ! -x "build/$PRESET/bin/merpati" ] || [ ! -x "build/$PRESET/bin/merpatictl" ]; then
    die "build/$PRESET/bin has no merpati and merpatictl; leave --no-build out"
  fi
  settle_state
  make_state
  lock_state
  before=$(instance_settings)
  if ! some_alive; then
    check_ports
  elif [ $detach = no ] || [ "$before" != "$(settings)" ]; then
    die "an instance runs in $STATE already ($(echo $before)); stop it first: ./dev down$(state_option)"
  fi
  make_certificates "${SERVICES[@]}"
  if [ $detach = no ]; then
    trap 'say "draining (again Ctrl-C to cut)"; trap - EXIT; trap "cut_instance; exit 130" INT TERM; stop_instance; say "stopped"; exit 0' INT TERM
  fi
  trap 'stop_instance' EXIT
  start_postgres
  say "starting merpati ($MODE)"
  write_ctl_context
  start_instance
  make_accounts "$accounts"
  write_target "$MODE" "$accounts"
  settings >"$STATE/run/up.env"
  print_instance "$accounts"
  if [ $detach = yes ]; then
    trap - EXIT
    unlock_state
    echo "Stop it with: ./dev down$(state_option)"
    return
  fi
  echo "Ctrl-C drains and stops."
  watch_instance
}

cut_instance() {
  local name pid
  for name in merpati "${SERVICES[@]}"; do pid=$(pid_of "$name") && kill -KILL "$pid"; done
  stop_postgres
}

# Until a process ends that nobody asked to end.
watch_instance() {
  local name
  while sleep 1; do
    for name in $(names_of_mode); do
      alive "$name" && continue
      tail -n 10 "$STATE/logs/$name.log" >&2
      say "$name has ended; stopping the rest. Its log is $STATE/logs/$name.log"
      exit 1
    done
  done
}

cmd_down() {
  parse_state "$@"
  [ ${#REST[@]} -eq 0 ] || die "down does not know \"${REST[0]}\""
  settle_state quiet
  [ -d "$STATE/run" ] || die "there is no instance in $STATE"
  if ! some_alive && ! postgres_running; then
    say "nothing runs in $STATE"
    rm -f "$STATE/run/up.env"
    return
  fi
  PRESET=$(instance_settings | sed -n 's/^PRESET=//p')
  say "stopping the instance in $STATE"
  stop_instance
  say "stopped"
}

cmd_ctl() {
  parse_state "$@"
  settle_state quiet
  [ -e "$STATE/merpatictl.yaml" ] || die "there is no instance in $STATE; ./dev up$(state_option) makes one"
  PRESET=${MERPATI_PRESET:-release}
  # shellcheck source=/dev/null
  [ ! -e "$STATE/run/up.env" ] || source "$STATE/run/up.env"
  ctl "${REST[@]}"
}
