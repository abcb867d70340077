# The configuration of an instance, and target.env for clients, tests and benchmarks.

SERVICES=(auth store filter queue smtp pop3 imap sieve admin)  # in the order of their start

# The services' table (docs, DESIGN): service i has gRPC 50051 + i and HTTP 9090 + i; admin always 50051.
service_number() {
  case $1 in smtp) echo 1 ;; pop3) echo 2 ;; imap) echo 3 ;; sieve) echo 4 ;; auth) echo 5 ;; store) echo 6 ;; filter) echo 7 ;;
    queue) echo 8 ;; admin) echo 9 ;; esac
}
grpc_port() { if [ "$1" = admin ]; then echo $((50051 + OFFSET)); else echo $((50051 + OFFSET + $(service_number "$1"))); fi; }
http_port() { if [ "$1" = merpati ]; then echo $((9090 + OFFSET)); else echo $((9090 + OFFSET + $(service_number "$1"))); fi; }
port() { echo $(($1 + OFFSET)); }

# Somebody else's port would be shared in silence (SO_REUSEPORT) or end a process at its start.
check_ports() {
  local one ports="$(port 2525) $(port 2587) $(port 2465) $(port 2110) $(port 2995) $(port 2143) $(port 2993) $(port 4190) $(grpc_port admin)"
  if [ "$MODE" = services ]; then
    for one in "${SERVICES[@]}"; do ports+=" $(grpc_port "$one") $(http_port "$one")"; done
  else
    ports+=" $(http_port merpati)"
  fi
  for one in $ports; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$one") 2>/dev/null; then
      die "port $one is in use; --port-offset N moves every port by N (now $OFFSET)"
    fi
  done
}

# listener PORT TLS [KIND]
listener() {
  printf '    - {address: "::", port: %s, tls: %s, %splaintext_login_from_loopback: true, max_connections_per_address: 600}\n' \
    "$(port "$1")" "$2" "${3:+kind: $3, }"
}
edge_tls() { printf '  tls: {certificate_file: "%s", key_file: "%s"}\n  hostname: mail.example.test\n' "$STATE/tls/server.pem" "$STATE/tls/server.key"; }

# write_config FILE MODE NAME: MODE is allinone or services.
write_config() {
  local file=$1 mode=$2 name=$3 service
  secret master-key openssl rand -base64 32 >/dev/null
  secret admin-token sh -c 'printf "mpt_%s" "$(openssl rand -hex 24)"' >/dev/null
  for service in "${PG_SCHEMAS[@]}"; do (umask 077 && database_dsn "$service" >"$STATE/secrets/dsn-$service"); done
  {
    echo "# Written by ./dev up at each start."
    echo "process: {endpoint_delay: 0s, grace_period: 20s}"
    echo "http: {address: \"127.0.0.1\", port: $(http_port "$name")}"
    printf 'trust: {ca_file: "%s", certificate_file: "%s", key_file: "%s", trust_domain: merpati}\n' \
      "$STATE/tls/services-ca.pem" "$STATE/tls/${name/#merpati/admin}.pem" "$STATE/tls/${name/#merpati/admin}.key"
    if [ "$mode" = services ]; then
      echo "peers:"
      for service in "${SERVICES[@]}"; do echo "  $service: {target: \"127.0.0.1:$(grpc_port $service)\"}"; done
    fi
    echo "smtp:"
    edge_tls
    [ "$mode" = allinone ] || echo "  grpc: {address: \"127.0.0.1\", port: $(grpc_port smtp)}"
    echo "  postmaster: alice@example.test"
    echo "  spill_directory: \"$STATE/tmp\""
    echo "  listeners:"
    listener 2525 STARTTLS MX
    listener 2587 STARTTLS SUBMISSION
    listener 2465 IMPLICIT SUBMISSION
    echo "pop3:"
    edge_tls
    [ "$mode" = allinone ] || echo "  grpc: {address: \"127.0.0.1\", port: $(grpc_port pop3)}"
    echo "  listeners:"
    listener 2110 STARTTLS
    listener 2995 IMPLICIT
    echo "imap:"
    edge_tls
    [ "$mode" = allinone ] || echo "  grpc: {address: \"127.0.0.1\", port: $(grpc_port imap)}"
    echo "  max_connections_per_account: 600"
    echo "  listeners:"
    listener 2143 STARTTLS
    listener 2993 IMPLICIT
    echo "sieve:"
    edge_tls
    [ "$mode" = allinone ] || echo "  grpc: {address: \"127.0.0.1\", port: $(grpc_port sieve)}"
    echo "  listeners:"
    listener 4190 STARTTLS
    echo "auth:"
    echo "  grpc: {address: \"127.0.0.1\", port: $(grpc_port auth)}"
    echo "  database: {dsn_file: \"$STATE/secrets/dsn-auth\"}"
    echo "  master_key_file: \"$STATE/secrets/master-key\""
    echo "  trusted_addresses: [\"127.0.0.0/8\", \"::1/128\"]"
    echo "store:"
    echo "  grpc: {address: \"127.0.0.1\", port: $(grpc_port store)}"
    echo "  database: {dsn_file: \"$STATE/secrets/dsn-store\"}"
    echo "  objects: {directory: \"$STATE/objects\"}"
    echo "filter:"
    echo "  grpc: {address: \"127.0.0.1\", port: $(grpc_port filter)}"
    echo "  database: {dsn_file: \"$STATE/secrets/dsn-filter\"}"
    echo "  authserv_id: mail.example.test"
    echo "queue:"
    echo "  grpc: {address: \"127.0.0.1\", port: $(grpc_port queue)}"
    echo "  database: {dsn_file: \"$STATE/secrets/dsn-queue\"}"
    echo "  hostname: mail.example.test"
    echo "admin:"
    echo "  grpc: {address: \"127.0.0.1\", port: $(grpc_port admin)}"
    echo "  database: {dsn_file: \"$STATE/secrets/dsn-admin\"}"
    echo "  bootstrap_token_file: \"$STATE/secrets/admin-token\""
    # What a developer adds to every instance started from this state.
    [ ! -e "$STATE/extra.yaml" ] || cat "$STATE/extra.yaml"
  } >"$file"
}

write_ctl_context() {
  printf 'server: "localhost:%s"\nca_file: "%s"\ntoken_file: "%s"\n' "$(grpc_port admin)" "$STATE/tls/services-ca.pem" \
    "$STATE/secrets/admin-token" >"$STATE/merpatictl.yaml"
}

# write_target MODE ACCOUNTS
write_target() {
  local metrics=merpati
  [ "$1" = allinone ] || metrics=smtp
  cat >"$STATE/target.env.new" <<ENV
# Written by ./dev up. Source it in a subshell: it sets USER and HOST.
HOST=localhost
DOMAIN=example.test
SMTP_PORT=$(port 2525)
SUBMISSION_PORT=$(port 2587)
SUBMISSIONS_PORT=$(port 2465)
IMAP_PORT=$(port 2143)
IMAPS_PORT=$(port 2993)
POP3_PORT=$(port 2110)
POP3S_PORT=$(port 2995)
SIEVE_PORT=$(port 4190)
ADMIN_PORT=$(grpc_port admin)
METRICS_PORT=$(http_port $metrics)
USER=alice@example.test
PASS=$(password alice)
BOB_PASS=$(password bob)
USER_TEMPLATE=u%d@example.test
USER_TEMPLATE_COUNT=$2
CA_FILE='$STATE/tls/ca.pem'
CTL_CONTEXT='$STATE/merpatictl.yaml'
CTL_PROGRAM='$ROOT/build/$PRESET/bin/merpatictl'
MODE=$1
STATE_DIR='$STATE'
ENV
  mv "$STATE/target.env.new" "$STATE/target.env"
}
