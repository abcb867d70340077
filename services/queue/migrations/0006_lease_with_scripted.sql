-- As lease_items, which the release before this one calls, and whether the scripts have run.
create function lease_with_scripted(p_limit int, p_lease float8, p_busy text[])
returns table (id bigint, lease_number bigint, uuid uuid, recipient text, domain text, notify text, original_recipient text,
  attempts int, expires_at timestamptz, returned boolean, last_error text, delivery_id uuid, reverse_path text,
  header_prefix bytea, has_octets boolean, blob_id bytea, size bigint, sender_account_id bigint, trace_id text,
  body_type smallint, smtputf8 boolean, received_at timestamptz, envelope_id text, headers_only boolean, cell text,
  scripted boolean)
language plpgsql as $$
#variable_conflict use_column
begin
  update items i set state = 2, due_at = now(), leased_until = null, last_error = 'the process that was sending it went away'
  where i.id in (select l.id from items l where l.state = 3 and l.leased_until < now() order by l.id limit p_limit for update skip locked);
  return query
  with due as (
    select d.id from items d where d.state = 2 and d.due_at <= now() and d.domain <> all (p_busy)
    order by d.due_at limit p_limit for update skip locked),
  leased as (
    update items i set state = 3, lease_number = i.lease_number + 1, attempts = i.attempts + 1,
      leased_until = now() + make_interval(secs => p_lease)
    from due where i.id = due.id returning i.*)
  select l.id, l.lease_number, l.uuid, l.recipient, l.domain, l.notify, l.original_recipient, l.attempts, l.expires_at,
    l.returned, l.last_error, m.delivery_id, m.reverse_path, m.header_prefix, m.octets is not null, m.blob_id, m.size,
    m.sender_account_id, m.trace_id, m.body_type, m.smtputf8, m.received_at, m.envelope_id, m.headers_only, m.cell,
    m.scripted
  from leased l join messages m on m.delivery_id = l.delivery_id
  order by l.domain, l.delivery_id, l.id;
end $$;
