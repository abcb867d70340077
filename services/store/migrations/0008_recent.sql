-- \Recent of messages below p_next goes to the caller's session: gives the uid from which on they were recent to nobody.
-- When power fails at once they are recent once more, which RFC 3501 2.3.2 allows; so nobody waits for the flush.
create function take_recent(p_account bigint, p_mailbox bigint, p_next bigint) returns bigint language plpgsql as $$
declare v_from bigint;
begin
  perform set_config('synchronous_commit', 'off', true);
  select first_recent_uid into v_from from mailboxes where account_id = p_account and id = p_mailbox for no key update;
  if v_from < p_next then
    update mailboxes set first_recent_uid = p_next,
      recent = (select count(*) from messages x where x.account_id = p_account and x.mailbox_id = p_mailbox and x.uid >= p_next)
    where account_id = p_account and id = p_mailbox;
  end if;
  return v_from;
end $$;
