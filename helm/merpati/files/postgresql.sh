# Starts the evaluation profile's PostgreSQL, and makes it at the first start: one database, one role for each schema, and a
# database for each further cell.
set -eu
for folder in /usr/lib/postgresql/*/bin; do PATH=$folder:$PATH; done
data=/data/postgresql
if [ ! -s "$data/PG_VERSION" ]; then
  rm -rf "$data.new"
  initdb -D "$data.new" -U postgres -E UTF8 --locale=C --auth-local=trust --auth-host=scram-sha-256 \
    --pwfile=/etc/merpati-secrets/postgres-password
  echo "host all all all scram-sha-256" >>"$data.new/pg_hba.conf"
  {
    echo "create database merpati;"
    for service in @SERVICES@; do
      database=merpati
      case $service in store-*) database=merpati-$service; echo "create database \"$database\";" ;; esac
      echo "create role \"merpati_$service\" login password '$(cat "/etc/merpati-secrets/password-$service")';"
      echo "grant create on database \"$database\" to \"merpati_$service\";"
    done
  } | postgres --single -D "$data.new" postgres >/dev/null
  mv "$data.new" "$data"
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=300 -c jit=off
