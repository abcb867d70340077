-- Messages that one transaction hands over together: the first decides for the others.
alter table messages add column decided_by uuid;
create index messages_decided_by on messages (decided_by) where decided_by is not null;

create function enqueue_with(
  p_decided_by uuid, p_delivery uuid, p_reverse_path text, p_prefix bytea, p_octets bytea, p_blob bytea, p_size bigint,
  p_sender bigint, p_deciding bigint, p_trace text, p_body_type int, p_smtputf8 boolean, p_received timestamptz,
  p_envelope text, p_headers_only boolean, p_cell text, p_held boolean, p_give_up float8,
  p_recipients text[], p_domains text[], p_notify text[], p_original text[])
returns table (item_id bigint, duplicate boolean) language plpgsql as $$
begin
  return query select * from enqueue(p_delivery, p_reverse_path, p_prefix, p_octets, p_blob, p_size, p_sender, p_deciding, p_trace,
    p_body_type, p_smtputf8, p_received, p_envelope, p_headers_only, p_cell, p_held, p_give_up, p_recipients, p_domains, p_notify,
    p_original);
  update messages set decided_by = p_decided_by where delivery_id = p_delivery and p_decided_by is not null and decided_by is null;
end $$;

create or replace function release(p_delivery uuid) returns bigint language sql as $$
  with gone as (
    update items set state = 2, due_at = now()
    where state = 1 and delivery_id in (select p_delivery union all select m.delivery_id from messages m where m.decided_by = p_delivery)
    returning 1)
  select count(*) from gone
$$;

create or replace function drop_held(p_delivery uuid) returns bigint language plpgsql as $$
declare v_count bigint; v_deliveries uuid[];
begin
  select array_agg(d) into v_deliveries
  from (select p_delivery d union all select m.delivery_id from messages m where m.decided_by = p_delivery) x;
  update items set state = 5, last_error = 'taken back' where delivery_id = any (v_deliveries) and state = 1;
  get diagnostics v_count = row_count;
  perform close_messages(v_deliveries);
  return v_count;
end $$;
