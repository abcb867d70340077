-- Changes of messages. Every function locks the mailbox's row first and holds it to the commit.

-- The spelling that the mailbox already uses for a keyword; keywords compare without regard to case.
create function spelled(p_known text[], p_wanted text[]) returns text[] language sql immutable as $$
  select coalesce(array_agg(distinct coalesce(k, w)), '{}') from unnest(p_wanted) w left join unnest(p_known) k on lower(k) = lower(w)
$$;

-- mode: 1 replace, 2 add, 3 remove. kind: 0 the mailbox, 1 changed, 2 already so, 3 modified since p_unchanged_since.
create function change_flags(p_account bigint, p_mailbox bigint, p_firsts bigint[], p_lasts bigint[], p_mode int, p_flags int,
  p_keywords text[], p_unchanged_since bigint)
returns table (kind int, uid bigint, modseq bigint, flags int, keywords text[]) language plpgsql as $$
#variable_conflict use_column
declare
  v_modseq bigint; v_known text[]; v_words text[];
begin
  select m.highest_modseq + 1, m.keywords into v_modseq, v_known from mailboxes m
  where m.account_id = p_account and m.id = p_mailbox for no key update;
  if not found then raise exception 'the mailbox is gone' using errcode = 'MP005'; end if;
  v_words := spelled(v_known, p_keywords);
  -- Without a join of two CTEs, which has no index, and with ctid for the update: a plan made while the tables were empty
  -- must not compare 10,000 messages with 10,000. The mailbox's lock keeps every ctid true.
  return query
  with wanted as materialized (
    select x.place, x.uid, x.modseq, x.flags::int as was, coalesce(x.keywords, '{}') as words, x.size, w.will, w.will_words,
      p_unchanged_since >= 0 and x.modseq > p_unchanged_since as newer
    from unnest(p_firsts, p_lasts) r (f, l), lateral (
      select m.ctid as place, m.* from messages m
      where m.account_id = p_account and m.mailbox_id = p_mailbox and m.uid between r.f and r.l offset 0) x,
    lateral (select
      case p_mode when 1 then p_flags when 2 then x.flags::int | p_flags else x.flags::int & ~p_flags end as will,
      case when p_mode = 1 then v_words
        when v_words = '{}' then coalesce(x.keywords, '{}')
        when p_mode = 2 then array(select unnest(coalesce(x.keywords, '{}')) union select unnest(v_words))
        else array(select unnest(coalesce(x.keywords, '{}')) except select unnest(v_words)) end as will_words) w),
  judged as materialized (
    select w.*, not w.newer and (w.was <> w.will or not (w.words @> w.will_words and w.words <@ w.will_words)) as changes from wanted w),
  done as (
    update messages x set flags = j.will, keywords = nullif(j.will_words, '{}'), modseq = v_modseq, touched = true
    from judged j where j.changes and x.ctid = j.place),
  summed as (
    select count(*) n, coalesce(sum(((j.will & 1 = 0)::int - (j.was & 1 = 0)::int)), 0) unseen,
      coalesce(sum((j.will & 8 <> 0)::int - (j.was & 8 <> 0)::int), 0) deleted,
      coalesce(sum(((j.will & 8 <> 0)::int - (j.was & 8 <> 0)::int) * j.size), 0)::bigint bytes
    from judged j where j.changes),
  counted as (
    update mailboxes m set highest_modseq = v_modseq, unseen = m.unseen + s.unseen, deleted = m.deleted + s.deleted,
      deleted_bytes = m.deleted_bytes + s.bytes,
      keywords = case when p_mode = 3 or v_words <@ m.keywords then m.keywords
        else m.keywords || array(select w from unnest(v_words) w where not w = any (m.keywords)) end
    from summed s where s.n > 0 and m.account_id = p_account and m.id = p_mailbox)
  select 0, 0::bigint, case when s.n > 0 then v_modseq else v_modseq - 1 end, 0, null::text[] from summed s
  union all
  select case when j.newer then 3 when j.changes then 1 else 2 end, j.uid,
    case when j.changes then v_modseq else j.modseq end, case when j.changes then j.will else j.was end,
    case when j.changes then j.will_words else j.words end
  from judged j
  order by 1, 2;
end $$;

-- Many of them in one commit. r_item is the ordinal of the range's element.
create function change_flags_many(p_account bigint[], p_mailbox bigint[], p_mode int[], p_flags int[], p_keywords text[],
  p_unchanged_since bigint[], r_item int[], r_first bigint[], r_last bigint[])
returns table (item int, kind int, uid bigint, modseq bigint, flags int, keywords text[]) language plpgsql as $$
#variable_conflict use_column
declare v record;
begin
  if array_length(p_account, 1) > 1 then  -- one order of locks for all batches
    perform 1 from mailboxes m where (m.account_id, m.id) in (select * from unnest(p_account, p_mailbox))
    order by m.account_id, m.id for no key update;
  end if;
  for v in select t.* from unnest(p_account, p_mailbox, p_mode, p_flags, p_keywords, p_unchanged_since) with ordinality
      t (account, mailbox, mode, flags, keywords, unchanged_since, i) loop
    if not exists (select 1 from mailboxes m where m.account_id = v.account and m.id = v.mailbox) then
      return query select v.i::int, 9, 0::bigint, 0::bigint, 0, null::text[];
      continue;
    end if;
    return query select v.i::int, c.* from change_flags(v.account, v.mailbox,
      (select array_agg(r.f) from unnest(r_item, r_first) r (i, f) where r.i = v.i),
      (select array_agg(r.l) from unnest(r_item, r_last) r (i, l) where r.i = v.i),
      v.mode, v.flags, string_to_array(nullif(v.keywords, ''), ' '), v.unchanged_since) c;
  end loop;
end $$;

-- Ranges from a set of uids, as tombstones of one MODSEQ.
create function add_expunged(p_account bigint, p_mailbox bigint, p_modseq bigint, p_uids bigint[])
returns table (first bigint, last bigint) language sql as $$
  insert into expunged (account_id, mailbox_id, modseq, first_uid, last_uid)
  select p_account, p_mailbox, p_modseq, min(u), max(u) from (
    select u, u - row_number() over (order by u) as island from unnest(p_uids) u) n group by island
  returning first_uid, last_uid
$$;

-- Takes rows away from a mailbox whose row is locked, and counts them off. p_only_deleted: those with \Deleted.
-- p_bury: sessions may still read them, and the references stay until the grave is cleared.
create function remove_messages(p_account bigint, p_mailbox bigint, p_firsts bigint[], p_lasts bigint[], p_only_deleted boolean,
  p_bury boolean)
returns table (first bigint, last bigint, modseq bigint) language plpgsql as $$
#variable_conflict use_column
declare
  v_places tid[]; v_uids bigint[]; v_modseq bigint; v_bytes bigint; v_unseen bigint; v_deleted bigint; v_deleted_bytes bigint;
begin
  v_places := array(
    select x.place from unnest(coalesce(p_firsts, '{1}'), coalesce(p_lasts, '{4294967295}')) r (f, l), lateral (
      select m.ctid as place from messages m where m.account_id = p_account and m.mailbox_id = p_mailbox and m.uid between r.f and r.l
        and (not p_only_deleted or m.flags & 8 <> 0) offset 0) x);
  with gone as (
    delete from messages x where x.ctid = any (v_places)
    returning x.uid, x.size, x.flags, x.inline, x.blob_id, x.header_prefix),
  buried as (
    insert into graves (account_id, mailbox_id, uid, size, inline, blob_id, header_prefix)
    select p_account, p_mailbox, g.uid, g.size, g.inline, g.blob_id, g.header_prefix from gone g where p_bury)
  select array_agg(g.uid), coalesce(sum(g.size), 0),
    count(*) filter (where g.flags & 1 = 0), count(*) filter (where g.flags & 8 <> 0),
    coalesce(sum(g.size) filter (where g.flags & 8 <> 0), 0)
  into v_uids, v_bytes, v_unseen, v_deleted, v_deleted_bytes from gone g;
  if v_uids is null then return; end if;
  update mailboxes m set highest_modseq = m.highest_modseq + 1, messages = m.messages - array_length(v_uids, 1),
    recent = m.recent - (select count(*) from unnest(v_uids) u where u >= m.first_recent_uid),
    bytes = m.bytes - v_bytes, unseen = m.unseen - v_unseen, deleted = m.deleted - v_deleted,
    deleted_bytes = m.deleted_bytes - v_deleted_bytes
  where m.account_id = p_account and m.id = p_mailbox returning m.highest_modseq into v_modseq;
  return query select e.first, e.last, v_modseq from add_expunged(p_account, p_mailbox, v_modseq, v_uids) e;
end $$;

-- The first row has first = 0 and the mailbox's MODSEQ.
create function expunge(p_account bigint, p_mailbox bigint, p_firsts bigint[], p_lasts bigint[])
returns table (first bigint, last bigint, modseq bigint) language plpgsql as $$
#variable_conflict use_column
declare v_deleted bigint;
begin
  select m.deleted into v_deleted from mailboxes m where m.account_id = p_account and m.id = p_mailbox for no key update;
  if not found then raise exception 'the mailbox is gone' using errcode = 'MP005'; end if;
  if v_deleted > 0 then
    return query select * from remove_messages(p_account, p_mailbox, p_firsts, p_lasts, true, true);
  end if;
  return query select 0::bigint, 0::bigint, m.highest_modseq from mailboxes m where m.account_id = p_account and m.id = p_mailbox;
end $$;

-- Copies or moves to the mailbox p_to. kind 0: the target (uid = its uid_validity, target = its id, modseq the source's);
-- kind 1: one message.
create function copy_messages(p_account bigint, p_mailbox bigint, p_firsts bigint[], p_lasts bigint[], p_to text, p_move boolean,
  p_quota_bytes bigint, p_quota_messages bigint)
returns table (kind int, uid bigint, target bigint, modseq bigint) language plpgsql as $$
#variable_conflict use_column
declare
  v_to bigint; v_next bigint; v_modseq bigint; v_validity bigint; v_words text[]; v_source_modseq bigint; v_source_words text[];
  v_used record; v_new record;
begin
  select m.id into v_to from mailboxes m where m.account_id = p_account and m.name = p_to and not m.no_select;
  if v_to is null then raise exception 'no such mailbox' using errcode = 'MP005'; end if;
  perform 1 from mailboxes m where m.account_id = p_account and m.id in (p_mailbox, v_to) order by m.id for no key update;
  select m.uid_next, m.highest_modseq, m.uid_validity, m.keywords into v_next, v_modseq, v_validity, v_words
  from mailboxes m where m.account_id = p_account and m.id = v_to and not m.no_select;
  if not found then raise exception 'no such mailbox' using errcode = 'MP005'; end if;
  select m.keywords into v_source_words from mailboxes m where m.account_id = p_account and m.id = p_mailbox;
  if not found then raise exception 'the mailbox is gone' using errcode = 'MP009'; end if;
  if not p_move and (p_quota_bytes > 0 or p_quota_messages > 0) then
    select sum(q.bytes) bytes, sum(q.messages) messages into v_used from mailboxes q where q.account_id = p_account;
    select coalesce(sum(x.size), 0) bytes, count(*) messages into v_new
    from unnest(p_firsts, p_lasts) r (f, l), lateral (
      select m.size from messages m where m.account_id = p_account and m.mailbox_id = p_mailbox and m.uid between r.f and r.l offset 0) x;
    if (p_quota_bytes > 0 and v_used.bytes + v_new.bytes > p_quota_bytes)
      or (p_quota_messages > 0 and v_used.messages + v_new.messages > p_quota_messages) then
      raise exception 'over quota' using errcode = 'MP008';
    end if;
  end if;
  if not p_move then
    perform hold_blobs(p_account, array_agg(x.inline), array_agg(x.blob_id))
    from unnest(p_firsts, p_lasts) r (f, l), lateral (
      select m.inline, m.blob_id from messages m
      where m.account_id = p_account and m.mailbox_id = p_mailbox and m.uid between r.f and r.l offset 0) x;
  end if;
  return query
  with source as materialized (
    select x.*, row_number() over (order by x.uid) as n from unnest(p_firsts, p_lasts) r (f, l), lateral (
      select * from messages m where m.account_id = p_account and m.mailbox_id = p_mailbox and m.uid between r.f and r.l offset 0) x),
  stored as (
    insert into messages (account_id, mailbox_id, uid, modseq, size, email_id, thread_id, received_at, saved_at, flags, zone,
                          inline, blob_id, keywords, header_prefix, envelope, structure, detail)
    select account_id, v_to, v_next + n - 1, v_modseq + n, size, email_id, thread_id, received_at, now(), flags, zone, inline,
      blob_id, keywords, header_prefix, envelope, structure, detail from source
    returning size, flags),
  counted as (
    update mailboxes m set uid_next = m.uid_next + s.n, highest_modseq = m.highest_modseq + s.n, messages = m.messages + s.n,
      recent = m.recent + s.n, bytes = m.bytes + s.bytes, unseen = m.unseen + s.unseen, deleted = m.deleted + s.deleted,
      deleted_bytes = m.deleted_bytes + s.deleted_bytes,
      keywords = m.keywords || array(select w from unnest(v_source_words) w
        where not exists (select 1 from unnest(m.keywords) k where lower(k) = lower(w)))
    from (select count(*) n, coalesce(sum(size), 0)::bigint bytes, count(*) filter (where flags & 1 = 0) unseen,
            count(*) filter (where flags & 8 <> 0) deleted,
            coalesce(sum(size) filter (where flags & 8 <> 0), 0)::bigint deleted_bytes from stored) s
    where m.account_id = p_account and m.id = v_to and s.n > 0)
  select 1, s.uid, v_next + s.n - 1, 0::bigint from source s order by s.uid;
  if p_move then
    perform * from remove_messages(p_account, p_mailbox, p_firsts, p_lasts, false, false) where v_to <> p_mailbox;
    if v_to = p_mailbox then
      perform * from remove_messages(p_account, p_mailbox, p_firsts, (select array_agg(least(l, v_next - 1)) from unnest(p_lasts) l), false, false);
    end if;
  end if;
  return query select 0, v_validity, v_to, m.highest_modseq from mailboxes m where m.account_id = p_account and m.id = p_mailbox;
end $$;

-- Renames with children. INBOX itself stays: its messages move to the new mailbox (RFC 9051 6.3.6).
create function rename_mailbox(p_account bigint, p_from text, p_to text) returns bigint language plpgsql as $$
declare v_id bigint; v_to bigint; v record;
begin
  perform lock_account(p_account);
  select id into v_id from mailboxes where account_id = p_account and name = p_from;
  if v_id is null then raise exception 'no such mailbox' using errcode = 'MP005'; end if;
  if exists (select 1 from mailboxes where account_id = p_account and name = p_to) then
    raise exception 'a mailbox of the new name exists' using errcode = 'MP006';
  end if;
  if starts_with(p_to, p_from || '/') and p_from <> 'INBOX' then
    raise exception 'a mailbox cannot become its own child' using errcode = 'MP009';
  end if;
  perform add_parents(p_account, p_to);
  if p_from = 'INBOX' then
    v_to := add_mailbox(p_account, p_to, 0);
    perform * from copy_messages(p_account, v_id, '{1}', '{4294967295}', p_to, true, 0, 0);
    return v_to;
  end if;
  for v in select id, name from mailboxes where account_id = p_account and (name = p_from or starts_with(name, p_from || '/'))
      order by id for update loop
    update mailboxes set name = p_to || substr(v.name, length(p_from) + 1), uid_validity = next_uid_validity(p_account),
      highest_modseq = highest_modseq + 1
    where account_id = p_account and id = v.id;
  end loop;
  return v_id;
end $$;
