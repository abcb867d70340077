# At the database's first start: one role for each schema, which may make it. The passwords are beside the superuser's.
for schema in auth store filter queue admin; do
  psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v role="merpati_$schema" \
    -v password="$(cat "/run/secrets/database-$schema")" <<'SQL'
create role :"role" login password :'password';
select format('grant create on database %I to %I', current_database(), :'role') \gexec
SQL
done
