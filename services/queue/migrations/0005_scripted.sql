-- Messages whose recipients' scripts have run already.
alter table messages add column scripted boolean not null default false;

create function enqueue_scripted(
  p_scripted boolean, p_decided_by uuid, p_delivery uuid, p_reverse_path text, p_prefix bytea, p_octets bytea, p_blob bytea,
  p_size bigint, p_sender bigint, p_deciding bigint, p_trace text, p_body_type int, p_smtputf8 boolean, p_received timestamptz,
  p_envelope text, p_headers_only boolean, p_cell text, p_held boolean, p_give_up float8,
  p_recipients text[], p_domains text[], p_notify text[], p_original text[])
returns table (item_id bigint, duplicate boolean) language plpgsql as $$
begin
  return query select * from enqueue_with(p_decided_by, p_delivery, p_reverse_path, p_prefix, p_octets, p_blob, p_size, p_sender,
    p_deciding, p_trace, p_body_type, p_smtputf8, p_received, p_envelope, p_headers_only, p_cell, p_held, p_give_up, p_recipients,
    p_domains, p_notify, p_original);
  if p_scripted then update messages set scripted = true where delivery_id = p_delivery; end if;
end $$;
