-- A repeated call gives the first item ids.
create function enqueue(
  p_delivery uuid, p_reverse_path text, p_prefix bytea, p_octets bytea, p_blob bytea, p_size bigint,
  p_sender bigint, p_deciding bigint, p_trace text, p_body_type int, p_smtputf8 boolean, p_received timestamptz,
  p_envelope text, p_headers_only boolean, p_cell text, p_held boolean, p_give_up float8,
  p_recipients text[], p_domains text[], p_notify text[], p_original text[])
returns table (item_id bigint, duplicate boolean) language plpgsql as $$
begin
  insert into messages (delivery_id, reverse_path, header_prefix, octets, blob_id, size, sender_account_id,
    deciding_account_id, trace_id, body_type, smtputf8, received_at, envelope_id, headers_only, cell)
  values (p_delivery, p_reverse_path, p_prefix, p_octets, p_blob, p_size, p_sender, p_deciding, p_trace, p_body_type,
    p_smtputf8, p_received, p_envelope, p_headers_only, p_cell)
  on conflict do nothing;
  if not found then
    return query select i.id, true from items i where i.delivery_id = p_delivery order by i.ordinal;
    return;
  end if;
  return query
  insert into items (delivery_id, ordinal, recipient, domain, notify, original_recipient, state, expires_at)
  select p_delivery, t.n, t.recipient, t.domain, t.notify, t.original, case when p_held then 1 else 2 end,
    now() + make_interval(secs => p_give_up)
  from unnest(p_recipients, p_domains, p_notify, p_original) with ordinality t (recipient, domain, notify, original, n)
  order by t.n
  returning id, false;
end $$;

create function release(p_delivery uuid) returns bigint language sql as $$
  with gone as (update items set state = 2, due_at = now() where delivery_id = p_delivery and state = 1 returning 1)
  select count(*) from gone
$$;

-- Messages of which no item is open have nothing left to send. Callers hold locks on the items they closed.
create function close_messages(p_deliveries uuid[]) returns void language sql as $$
  update messages m set finished_at = now(), octets = null
  where m.delivery_id = any (p_deliveries) and m.finished_at is null
    and not exists (select 1 from items i where i.delivery_id = m.delivery_id and i.state in (1, 2, 3))
$$;

create function drop_held(p_delivery uuid) returns bigint language plpgsql as $$
declare v_count bigint;
begin
  update items set state = 5, last_error = 'taken back' where delivery_id = p_delivery and state = 1;
  get diagnostics v_count = row_count;
  perform close_messages(array[p_delivery]);
  return v_count;
end $$;

-- An operator's word. A worker that is sending one of them loses its lease, so its result is ignored.
create function drop_items(p_ids bigint[]) returns bigint language plpgsql as $$
declare v_deliveries uuid[]; v_count bigint;
begin
  with gone as (
    update items set state = 5, lease_number = lease_number + 1, leased_until = null, last_error = 'dropped by the operator'
    where id = any (p_ids) and state in (1, 2, 3) returning delivery_id)
  select array_agg(distinct delivery_id), count(*) into v_deliveries, v_count from gone;
  if v_count > 0 then perform close_messages(v_deliveries); end if;
  return v_count;
end $$;

-- Takes due items for one replica. A lease that ran out makes its item due again.
create function lease_items(p_limit int, p_lease float8, p_busy text[])
returns table (id bigint, lease_number bigint, uuid uuid, recipient text, domain text, notify text, original_recipient text,
  attempts int, expires_at timestamptz, returned boolean, last_error text, delivery_id uuid, reverse_path text,
  header_prefix bytea, has_octets boolean, blob_id bytea, size bigint, sender_account_id bigint, trace_id text,
  body_type smallint, smtputf8 boolean, received_at timestamptz, envelope_id text, headers_only boolean, cell text)
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
    m.sender_account_id, m.trace_id, m.body_type, m.smtputf8, m.received_at, m.envelope_id, m.headers_only, m.cell
  from leased l join messages m on m.delivery_id = l.delivery_id
  order by l.domain, l.delivery_id, l.id;
end $$;

-- Writes what became of leased items of one message, and the bounce that failed ones give rise to, in one commit. Who lost
-- the lease changes nothing. Returns the ids that were written.
create function finish_items(
  p_ids bigint[], p_leases bigint[], p_states int[], p_waits bigint[], p_errors text[], p_hosts text[],
  p_bounce uuid, p_bounce_to text, p_bounce_domain text, p_bounce_octets bytea, p_bounce_utf8 boolean, p_bounce_trace text,
  p_give_up float8)
returns setof bigint language plpgsql as $$
declare v_written bigint[]; v_failed boolean; v_deliveries uuid[];
begin
  with given as (
    select * from unnest(p_ids, p_leases, p_states, p_waits, p_errors, p_hosts) t (id, lease, state, wait, error, host)),
  locked as (
    select i.id from items i join given g on g.id = i.id
    where i.state = 3 and i.lease_number = g.lease order by i.id for update of i),
  written as (
    update items i set state = g.state, due_at = now() + make_interval(secs => g.wait / 1000.0), leased_until = null,
      last_error = g.error, last_host = g.host
    from given g join locked l on l.id = g.id where i.id = g.id returning i.id, i.state, i.delivery_id)
  select array_agg(w.id), bool_or(w.state = 5), array_agg(distinct w.delivery_id)
  into v_written, v_failed, v_deliveries from written w;
  if v_written is null then return; end if;
  perform close_messages(v_deliveries);
  if v_failed and p_bounce is not null then
    perform enqueue(p_bounce, '', '', p_bounce_octets, null, octet_length(p_bounce_octets), 0, 0, p_bounce_trace, 1,
      p_bounce_utf8, now(), '', false, '', false, p_give_up, array[p_bounce_to], array[p_bounce_domain], array[''], array['']);
  end if;
  return query select unnest(v_written);
end $$;
