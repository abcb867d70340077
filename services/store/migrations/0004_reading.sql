-- What SELECT needs, true for one MODSEQ: the last statement reads the mailbox's row and its uids in one snapshot.
create function open_mailbox(p_account bigint, p_name text, p_take_recent boolean)
returns table (id bigint, uid_validity bigint, uid_next bigint, highest_modseq bigint, first_recent_uid bigint, messages bigint,
  unseen bigint, deleted bigint, bytes bigint, deleted_bytes bigint, special_use smallint, subscribed boolean, keywords text[],
  first_unseen bigint, firsts bigint[], lasts bigint[]) language plpgsql as $$
#variable_conflict use_column
declare v_id bigint; v_recent bigint; v_next bigint; v_hidden boolean;
begin
  select m.id, m.first_recent_uid, m.uid_next, m.no_select into v_id, v_recent, v_next, v_hidden
  from mailboxes m where m.account_id = p_account and m.name = p_name;
  if v_id is null or v_hidden then raise exception 'no such mailbox' using errcode = 'MP005'; end if;
  if p_take_recent and v_recent < v_next then  -- \Recent goes to this session and to no other
    select m.first_recent_uid, m.uid_next into v_recent, v_next from mailboxes m
    where m.account_id = p_account and m.id = v_id for no key update;
    update mailboxes m set first_recent_uid = v_next, recent = 0 where m.account_id = p_account and m.id = v_id;
  end if;
  return query
  select m.id, m.uid_validity, m.uid_next, m.highest_modseq, v_recent, m.messages, m.unseen, m.deleted, m.bytes,
    m.deleted_bytes, m.special_use, exists (select 1 from subscriptions s where s.account_id = p_account and s.name = p_name),
    m.keywords,
    case when m.unseen = 0 then 0 else coalesce((select x.uid from messages x
      where x.account_id = p_account and x.mailbox_id = v_id and x.flags & 1 = 0 order by x.uid limit 1), 0) end,
    r.firsts, r.lasts
  from mailboxes m, lateral (
    select coalesce(array_agg(g.first order by g.first), '{}') as firsts, coalesce(array_agg(g.last order by g.first), '{}') as lasts from (
      select min(n.uid) as first, max(n.uid) as last from (
        select x.uid, x.uid - row_number() over (order by x.uid) as island from messages x
        where x.account_id = p_account and x.mailbox_id = v_id) n
      group by n.island) g) r
  where m.account_id = p_account and m.id = v_id;
  if not found then raise exception 'no such mailbox' using errcode = 'MP005'; end if;
end $$;

-- What happened since p_since, in one statement. kind: 0 the mailbox (uid = uid_next, last = expunged_floor), 1 vanished range,
-- 2 added range, 3 flags. p_below 0: no uid is known, so all that changed comes as flags.
create function changes_since(p_account bigint, p_mailbox bigint, p_since bigint, p_below bigint)
returns table (kind int, uid bigint, last bigint, modseq bigint, flags int, keywords text[]) language sql stable as $$
  with box as materialized (
    select uid_next, highest_modseq, expunged_floor from mailboxes where account_id = p_account and id = p_mailbox)
  select 0, b.uid_next, b.expunged_floor, b.highest_modseq, 0, null::text[] from box b
  union all
  select 1, e.first_uid, e.last_uid, e.modseq, 0, null from expunged e, box b
  where b.highest_modseq > p_since and e.account_id = p_account and e.mailbox_id = p_mailbox and e.modseq > p_since
  union all
  select 2, g.first, g.last, 0, 0, null from (
    select min(n.uid) as first, max(n.uid) as last from (
      select x.uid, x.uid - row_number() over (order by x.uid) as island from messages x, box b
      where p_below > 0 and b.uid_next > p_below and x.account_id = p_account and x.mailbox_id = p_mailbox and x.uid >= p_below) n
    group by n.island) g
  union all
  select 3, x.uid, 0, x.modseq, x.flags::int, x.keywords from box b, messages x
  where b.highest_modseq > p_since and p_below > 0 and x.account_id = p_account and x.mailbox_id = p_mailbox and x.touched
    and x.modseq > p_since and x.uid < p_below
  union all
  select 3, x.uid, 0, x.modseq, x.flags::int, x.keywords from box b, messages x
  where b.highest_modseq > p_since and p_below = 0 and x.account_id = p_account and x.mailbox_id = p_mailbox and x.modseq > p_since
$$;
