# A private PostgreSQL below the state folder, reached by a Unix socket only. With MERPATI_POSTGRES_ADDRESS also there, on
# PostgreSQL's own port, and by the services only there: for a test that cuts the network between them.

PG_BIN=/usr/lib/postgresql/15/bin
PG_SCHEMAS=(auth store filter queue admin)

# A socket's path has 107 octets at most.
postgres_socket_folder() {
  if [ ${#STATE} -lt 80 ]; then
    echo "$STATE/postgres/run"
  else
    echo "/tmp/merpati-$(printf '%s' "$STATE" | sha256sum | cut -c1-12)"
  fi
}

postgres_running() { as_database_user $PG_BIN/pg_ctl -D "$STATE/postgres/data" status >/dev/null 2>&1; }

psql_admin() {
  PGPASSWORD=$(password postgres) "$PG_BIN/psql" -h "$(postgres_socket_folder)" -U postgres -qAtX -v ON_ERROR_STOP=1 "$@"
}

init_postgres() {
  local folder=$STATE/postgres pwfile
  [ ! -e "$folder/data/PG_VERSION" ] || return 0
  say "making a private PostgreSQL in $folder"
  mkdir -p "$folder"
  pwfile=$folder/superuser
  password postgres >"$pwfile"
  is_root && chown -R "$(database_user)" "$folder"
  chmod 700 "$folder/superuser"
  rm -rf "$folder/new"
  as_database_user $PG_BIN/initdb -D "$folder/new" -U postgres -E UTF8 --locale=C --auth=scram-sha-256 \
    --pwfile="$pwfile" >"$STATE/logs/initdb.log" 2>&1 || {
    cat "$STATE/logs/initdb.log" >&2
    die "initdb failed"
  }
  rm -f "$pwfile"
  # fsync stays on: what is acknowledged must be durable, here too.
  as_database_user tee -a "$folder/new/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_permissions = 0777
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
wal_compression = lz4
jit = off
password_encryption = scram-sha-256
log_min_messages = warning
CONF
  as_database_user mv "$folder/new" "$folder/data"
}

start_postgres() {
  local run
  init_postgres
  run=$(postgres_socket_folder)
  mkdir -p "$run"
  is_root && chown "$(database_user)" "$run"
  if ! postgres_running; then
    touch "$STATE/logs/postgres.log"
    is_root && chown "$(database_user)" "$STATE/logs/postgres.log"
    as_database_user $PG_BIN/pg_ctl -D "$STATE/postgres/data" -l "$STATE/logs/postgres.log" -w -t 60 \
      -o "-k '$run' ${MERPATI_POSTGRES_ADDRESS:+-c listen_addresses=$MERPATI_POSTGRES_ADDRESS}" start >/dev/null 9>&- || {
      tail -20 "$STATE/logs/postgres.log" >&2
      die "PostgreSQL did not start"
    }
  fi
  make_databases
}

# One database; one role for each schema, which may make it.
make_databases() {
  local schema sql=
  [ "$(psql_admin -d postgres -c "select 1 from pg_database where datname = 'merpati'")" = 1 ] ||
    psql_admin -d postgres -c 'create database merpati'
  for schema in "${PG_SCHEMAS[@]}"; do
    sql+="do \$\$ begin create role merpati_$schema login; exception when duplicate_object then null; end \$\$;
      alter role merpati_$schema password '$(password "database-$schema")';
      grant create on database merpati to merpati_$schema;"
  done
  psql_admin -d merpati -c "$sql" 2>&1 | grep -v '^NOTICE' || true
}

stop_postgres() {
  postgres_running || return 0
  as_database_user $PG_BIN/pg_ctl -D "$STATE/postgres/data" -w -t 60 -m fast stop >/dev/null || say "PostgreSQL did not stop"
}

# The folder may have blanks in its name.
database_dsn() { echo "host='${MERPATI_POSTGRES_ADDRESS:-$(postgres_socket_folder)}' dbname=merpati user=merpati_$1 password=$(password "database-$1")"; }
