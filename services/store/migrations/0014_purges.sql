-- How far auth's events were followed, so that an account that was purged while no store ran is purged later.
create table followed_events (
  the_only boolean primary key default true check (the_only),
  position bigint not null default 0
);
insert into followed_events default values;

-- One step of a purge: a few messages, or a mailbox that is empty, or the rest. False when nothing is left. The account
-- takes nothing new from the first step on.
create function purge_some(p_account bigint, p_limit int) returns boolean language plpgsql as $$
declare v_box bigint; v_inline boolean[]; v_blobs bytea[];
begin
  insert into accounts (account_id, purged_at) values (p_account, now())
  on conflict (account_id) do update set purged_at = coalesce(accounts.purged_at, now()), lease_session = null;
  select id into v_box from mailboxes where account_id = p_account order by id limit 1 for update;
  if v_box is null then
    delete from subscriptions where account_id = p_account;
    delete from deliveries where account_id = p_account;
    return false;
  end if;
  with gone as (
    delete from messages x where x.ctid = any (array(
      select m.ctid from messages m where m.account_id = p_account and m.mailbox_id = v_box limit p_limit))
    returning x.inline, x.blob_id)
  select array_agg(inline), array_agg(blob_id) into v_inline, v_blobs from gone;
  if v_blobs is not null then
    perform release_blobs(p_account, v_inline, v_blobs);
  else
    delete from expunged where account_id = p_account and mailbox_id = v_box;
    delete from mailboxes where account_id = p_account and id = v_box;
  end if;
  return true;
end $$;
