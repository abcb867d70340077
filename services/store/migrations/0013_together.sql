-- Deliveries that are stored together or not at all, and what another call claimed meanwhile is judged anew.
-- status: 1 stored, 2 was stored before, 3 over quota, 4 refused, 5 body is not there, 6 no such mailbox, 7 could have been
-- stored but for another of its p_together, 8 given up by resolve_delivery

-- Between the look at `deliveries` and the claim in it somebody else put a row there: a copy, or a tombstone. Which of them
-- only a new statement sees, so the caller begins again.
create function claim_was_lost() returns int language plpgsql as $$
begin
  raise exception 'another call claimed this delivery meanwhile' using errcode = '40001';
end $$;

create function store_arrivals(
  p_account bigint[], p_delivery uuid[], p_part int[], p_mailbox text[], p_junk boolean[], p_strict boolean[],
  p_flags int[], p_keywords text[],           -- keywords separated by blanks
  p_received timestamptz[], p_zone int[], p_prefix bytea[], p_email bigint[], p_thread bigint[],
  p_quota_bytes bigint[], p_quota_messages bigint[], p_quota_need bigint[], p_body int[], p_together int[],
  b_blob bytea[], b_size bigint[], b_codec int[], b_octets bytea[],  -- octets null: an object
  b_envelope bytea[], b_structure bytea[], b_detail bytea[])
returns table (ordinal int, status int, mailbox_id bigint, uid bigint, email_id bigint, uid_validity bigint, modseq bigint)
language plpgsql as $$
#variable_conflict use_column
begin
  -- Mailbox rows are locked in the order of their key, so that two batches cannot wait for each other.
  perform 1 from mailboxes m
  where (m.account_id, m.id) in (
    select m2.account_id, m2.id from unnest(p_account, p_mailbox, p_junk) t (account, mailbox, junk)
    join mailboxes m2 on m2.account_id = t.account
     and (m2.name = t.mailbox or m2.name = 'INBOX' or (t.junk and m2.special_use = 3)))
  order by m.account_id, m.id for no key update;
  if array_position(b_octets, null) is not null then
    perform 1 from objects o where o.blob_id = any (b_blob) order by o.blob_id for no key update;
  end if;
  return query
  with given as materialized (
    select t.*, row_number() over () as i from unnest(p_account, p_delivery, p_part, p_mailbox, p_junk, p_strict, p_flags,
      p_keywords, p_received, p_zone, p_prefix, p_email, p_thread, p_quota_bytes, p_quota_messages, p_quota_need, p_body,
      p_together)
      t (account, delivery, part, mailbox, junk, strict, flags, keywords, received, zone, prefix, email, thread,
         quota_bytes, quota_messages, quota_need, body, together)),
  alone as materialized (
    select g.i, g.account, g.delivery, g.part, g.flags, g.keywords, g.received, g.zone, g.prefix, g.email, g.thread, g.body, g.together,
      b_size[g.body] + octet_length(g.prefix) as size,
      box.id as box, box.uid_next, box.highest_modseq, box.uid_validity,
      d.mailbox_id as old_mailbox, d.uid as old_uid, d.email_id as old_email,
      case
        when d.account_id is not null then case when d.tombstone then 8 else 2 end
        when a.account_id is null or a.purged_at is not null then 4
        when box.id is null then 6
        when b_octets[g.body] is null and not exists (select 1 from objects o where o.blob_id = b_blob[g.body] and o.collecting_since is null) then 5
        when (g.quota_bytes > 0 or g.quota_messages > 0) and exists (
          select 1 from (select sum(q.bytes) bytes, sum(q.messages) messages from mailboxes q where q.account_id = g.account) u
          where (g.quota_bytes > 0 and u.bytes + g.quota_need > g.quota_bytes)
             or (g.quota_messages > 0 and u.messages + 1 > g.quota_messages)) then 3
        else 1
      end as status
    from given g
    left join accounts a on a.account_id = g.account
    left join deliveries d on d.account_id = g.account and d.delivery_id = g.delivery and d.part = g.part
    left join lateral (
      select m.id, m.uid_next, m.highest_modseq, m.uid_validity from mailboxes m
      where m.account_id = g.account and not m.no_select
        and (m.name = g.mailbox or (not g.strict and (m.name = 'INBOX' or (g.junk and m.special_use = 3))))
      order by case when g.junk and m.special_use = 3 then 0 when m.name = g.mailbox and not g.junk then 1 else 2 end limit 1) box on true),
  judged as materialized (
    select a.i, a.account, a.delivery, a.part, a.flags, a.keywords, a.received, a.zone, a.prefix, a.email, a.thread, a.body, a.size,
      a.box, a.uid_next, a.highest_modseq, a.uid_validity, a.old_mailbox, a.old_uid, a.old_email,
      case when a.status = 1 and a.together > 0 and bool_or(a.status not in (1, 2)) over (partition by a.together) then 7
        else a.status end as status
    from alone a),
  -- Two addresses of one account in one transaction give one copy.
  fresh as materialized (
    select distinct on (account, delivery, part) * from judged where status = 1 order by account, delivery, part, i),
  numbered as materialized (
    select f.*, row_number() over (partition by account, box order by i) as n from fresh f),
  claimed as (
    insert into deliveries (account_id, delivery_id, part, mailbox_id, uid, email_id)
    select account, delivery, part, box, uid_next + n - 1, email from numbered order by account, delivery, part
    on conflict do nothing returning account_id, delivery_id, part),
  taken as materialized (
    select n.* from numbered n join claimed c on c.account_id = n.account and c.delivery_id = n.delivery and c.part = n.part),
  stored_bodies as (
    insert into bodies (account_id, blob_id, refs, size, codec, octets)
    select g.account, b_blob[g.body], g.n, b_size[g.body], b_codec[g.body], b_octets[g.body]
    from (select account, min(body) as body, count(*) n from taken where b_octets[body] is not null
          group by account, b_blob[body]) g
    order by g.account, b_blob[g.body]
    on conflict (account_id, blob_id) do update set refs = bodies.refs + excluded.refs, unused_since = null),
  used_objects as (
    update objects o set refs = o.refs + g.n, unused_since = null
    from (select b_blob[body] as blob, count(*) n from taken where b_octets[body] is null group by 1) g where o.blob_id = g.blob),
  rows as (
    insert into messages (account_id, mailbox_id, uid, modseq, size, email_id, thread_id, received_at, flags, zone, inline,
                          blob_id, keywords, header_prefix, envelope, structure, detail)
    select account, box, uid_next + n - 1, highest_modseq + n, size, email, thread, received, flags, zone,
      b_octets[body] is not null, b_blob[body], string_to_array(nullif(keywords, ''), ' '), prefix, b_envelope[body],
      b_structure[body], b_detail[body]
    from taken),
  counted as (
    update mailboxes m set uid_next = m.uid_next + g.n, highest_modseq = m.highest_modseq + g.n,
      messages = m.messages + g.stored, recent = m.recent + g.stored, unseen = m.unseen + g.unseen, deleted = m.deleted + g.deleted,
      bytes = m.bytes + g.bytes, deleted_bytes = m.deleted_bytes + g.deleted_bytes,
      keywords = case when g.words is null then m.keywords else m.keywords || array(
        select distinct w from unnest(string_to_array(g.words, ' ')) w
        where w <> '' and not exists (select 1 from unnest(m.keywords) k where lower(k) = lower(w))) end
    from (select x.account, x.box, count(*) n, count(t.i) stored,
            count(t.i) filter (where t.flags & 1 = 0) unseen, count(t.i) filter (where t.flags & 8 <> 0) deleted,
            coalesce(sum(t.size), 0)::bigint bytes, coalesce(sum(t.size) filter (where t.flags & 8 <> 0), 0)::bigint deleted_bytes,
            string_agg(nullif(t.keywords, ''), ' ') words
          from numbered x left join taken t on t.i = x.i group by x.account, x.box) g
    where m.account_id = g.account and m.id = g.box)
  select j.i::int,
    case when j.status <> 1 then j.status when t.i = j.i then 1 when t.i is not null then 2 else claim_was_lost() end,
    coalesce(t.box, j.old_mailbox, j.box, 0), coalesce(t.uid_next + t.n - 1, j.old_uid, 0),
    coalesce(t.email, j.old_email, 0), coalesce(j.uid_validity, 0), coalesce(t.highest_modseq + t.n, 0)
  from judged j left join taken t on j.status = 1 and t.account = j.account and t.delivery = j.delivery and t.part = j.part
  order by j.i;
end $$;

-- For replicas of the release before.
create or replace function store_arrivals(
  p_account bigint[], p_delivery uuid[], p_part int[], p_mailbox text[], p_junk boolean[], p_strict boolean[],
  p_flags int[], p_keywords text[], p_received timestamptz[], p_zone int[], p_prefix bytea[], p_email bigint[], p_thread bigint[],
  p_quota_bytes bigint[], p_quota_messages bigint[], p_quota_need bigint[], p_body int[],
  b_blob bytea[], b_size bigint[], b_codec int[], b_octets bytea[], b_envelope bytea[], b_structure bytea[], b_detail bytea[])
returns table (ordinal int, status int, mailbox_id bigint, uid bigint, email_id bigint, uid_validity bigint, modseq bigint)
language sql as $$
  select s.ordinal, case s.status when 8 then 4 else s.status end, s.mailbox_id, s.uid, s.email_id, s.uid_validity, s.modseq
  from store_arrivals(p_account, p_delivery, p_part, p_mailbox, p_junk, p_strict, p_flags, p_keywords, p_received, p_zone, p_prefix,
    p_email, p_thread, p_quota_bytes, p_quota_messages, p_quota_need, p_body, array_fill(0, array[cardinality(p_account)]),
    b_blob, b_size, b_codec, b_octets, b_envelope, b_structure, b_detail) s
$$;
