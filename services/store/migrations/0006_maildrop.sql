-- POP3: one session at a time has the maildrop; the lease's number fences off one that lost it.
create function lease_maildrop(p_account bigint, p_session text, p_seconds int)
returns table (lease bigint, mailbox bigint, uid_validity bigint) language plpgsql as $$
#variable_conflict use_column
declare v_lease bigint;
begin
  update accounts a set lease_number = a.lease_number + 1, lease_session = p_session,
    lease_until = now() + make_interval(secs => p_seconds)
  where a.account_id = p_account and a.purged_at is null
    and (a.lease_session is null or a.lease_until < now() or a.lease_session = p_session)
  returning a.lease_number into v_lease;
  if v_lease is null then
    perform 1 from accounts a where a.account_id = p_account and a.purged_at is null;
    if not found then raise exception 'the account is gone' using errcode = 'MP005'; end if;
    raise exception 'another session has the maildrop' using errcode = 'MP006';
  end if;
  return query select v_lease, m.id, m.uid_validity from mailboxes m where m.account_id = p_account and m.name = 'INBOX';
end $$;

create function renew_maildrop(p_account bigint, p_lease bigint, p_seconds int) returns boolean language plpgsql as $$
begin
  update accounts set lease_until = now() + make_interval(secs => p_seconds)
  where account_id = p_account and lease_number = p_lease and lease_session is not null;
  return found;
end $$;

-- Idempotent: a repetition after the lease was given back, and before another took it, deletes nothing more.
create function commit_maildrop(p_account bigint, p_lease bigint, p_mailbox bigint, p_uids bigint[]) returns bigint language plpgsql as $$
declare v_count bigint := 0;
begin
  perform 1 from accounts where account_id = p_account and lease_number = p_lease for update;
  if not found then raise exception 'the lease was lost' using errcode = 'MP009'; end if;
  if array_length(p_uids, 1) > 0 then
    perform 1 from mailboxes where account_id = p_account and id = p_mailbox for no key update;
    if not found then raise exception 'the mailbox is gone' using errcode = 'MP009'; end if;
    select coalesce(sum(last - first + 1), 0) into v_count
    from remove_messages(p_account, p_mailbox, p_uids, p_uids, false, true);
  end if;
  update accounts set lease_session = null, lease_until = null where account_id = p_account;
  return v_count;
end $$;

create function purge_account(p_account bigint) returns void language plpgsql as $$
declare v_box bigint;
begin
  insert into accounts (account_id, purged_at) values (p_account, now())
  on conflict (account_id) do update set purged_at = coalesce(accounts.purged_at, now()), lease_session = null;
  for v_box in select id from mailboxes where account_id = p_account order by id for update loop
    perform empty_mailbox(p_account, v_box);
  end loop;
  delete from mailboxes where account_id = p_account;
  delete from subscriptions where account_id = p_account;
  delete from deliveries where account_id = p_account;
end $$;
