-- POP3's LOGIN-DELAY (RFC 2449 6.5), counted for all processes together. A lease of number 0: too early.
alter table accounts add column maildrop_opened_at timestamptz;

create function lease_maildrop(p_account bigint, p_session text, p_seconds int, p_delay int)
returns table (lease bigint, mailbox bigint, uid_validity bigint) language plpgsql as $$
begin
  update accounts a set maildrop_opened_at = now()
  where a.account_id = p_account and a.purged_at is null
    and (a.maildrop_opened_at is null or a.maildrop_opened_at <= now() - make_interval(secs => p_delay));
  if not found and exists (select 1 from accounts a where a.account_id = p_account and a.purged_at is null) then
    return query select 0::bigint, 0::bigint, 0::bigint;
    return;
  end if;
  return query select * from lease_maildrop(p_account, p_session, p_seconds);  -- when it fails, this login does not count
end $$;
