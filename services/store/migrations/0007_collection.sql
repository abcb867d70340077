-- Collection in phases: graves are cleared after their grace, which gives references back; what has none since a while is
-- removed under the lock of its row, which every writer that adds a reference takes too.

create function clear_graves(p_before timestamptz, p_limit int) returns int language plpgsql as $$
declare v_count int := 0; v record;
begin
  for v in
    with gone as (
      delete from graves g where (g.account_id, g.mailbox_id, g.uid) in (
        select account_id, mailbox_id, uid from graves where at < p_before order by at limit p_limit for update skip locked)
      returning g.account_id, g.inline, g.blob_id)
    select account_id, array_agg(inline) as inlines, array_agg(blob_id) as blobs from gone group by account_id order by account_id
  loop
    perform release_blobs(v.account_id, v.inlines, v.blobs);
    v_count := v_count + array_length(v.blobs, 1);
  end loop;
  return v_count;
end $$;

create function remove_unused_bodies(p_before timestamptz, p_limit int) returns bigint language sql as $$
  with found as (
    select account_id, blob_id from bodies where unused_since < p_before order by unused_since limit p_limit for update skip locked),
  gone as (
    delete from bodies b using found f where b.account_id = f.account_id and b.blob_id = f.blob_id and b.refs <= 0
      and b.unused_since < p_before returning 1)
  select count(*) from gone
$$;

-- Marks objects that nothing uses; a marked one gets no new reference.
create function mark_objects(p_before timestamptz, p_limit int) returns bigint language sql as $$
  with found as (
    select blob_id from objects where unused_since < p_before and collecting_since is null
      and (leased_until is null or leased_until < now()) order by unused_since limit p_limit for update skip locked),
  marked as (
    update objects o set collecting_since = now() from found f where o.blob_id = f.blob_id and o.refs <= 0
      and (o.leased_until is null or o.leased_until < now()) returning 1)
  select count(*) from marked
$$;

-- Marked for longer than any transaction lasts, and still without a reference.
create function collectable_objects(p_before timestamptz, p_limit int) returns table (blob_id bytea, key text) language sql as $$
  select blob_id, key from objects where unused_since is not null and collecting_since < p_before and refs <= 0 limit p_limit
$$;

-- Tombstones of expunged messages that no session or client can still ask for. Clients whose MODSEQ is older open the
-- mailbox anew.
create function forget_expunged(p_before timestamptz, p_limit int) returns bigint language plpgsql as $$
declare v_count bigint;
begin
  with old as (
    select account_id, mailbox_id, modseq, first_uid from expunged where at < p_before limit p_limit for update skip locked),
  gone as (
    delete from expunged e using old o where e.account_id = o.account_id and e.mailbox_id = o.mailbox_id and e.modseq = o.modseq
      and e.first_uid = o.first_uid returning e.account_id, e.mailbox_id, e.modseq),
  floors as (
    select account_id, mailbox_id, max(modseq) as modseq from gone group by 1, 2),
  locked as (
    select m.account_id, m.id from mailboxes m join floors f on f.account_id = m.account_id and f.mailbox_id = m.id
    order by m.account_id, m.id for no key update of m),
  raised as (
    update mailboxes m set expunged_floor = greatest(m.expunged_floor, f.modseq) from floors f, locked l
    where m.account_id = f.account_id and m.id = f.mailbox_id and l.account_id = m.account_id and l.id = m.id)
  select count(*) into v_count from gone;
  return v_count;
end $$;
