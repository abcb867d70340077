-- How much accounts sent, in slots of ten minutes, so that a stolen password is noticed whichever replica it is used at.
create table sent (
  account_id bigint not null,
  slot bigint not null,                        -- Unix seconds / 600
  messages bigint not null default 0,
  recipients bigint not null default 0,
  primary key (account_id, slot)
);
create index sent_slot on sent (slot);

-- Counts one message, and answers with all of the hour that ends with this slot.
create function count_sent(p_account bigint, p_slot bigint, p_recipients bigint,
                           out messages bigint, out recipients bigint)
language plpgsql as $$
begin
  insert into sent as s (account_id, slot, messages, recipients) values (p_account, p_slot, 1, p_recipients)
  on conflict (account_id, slot) do update
    set messages = s.messages + 1, recipients = s.recipients + excluded.recipients;
  select sum(s.messages), sum(s.recipients) into messages, recipients
  from sent s where s.account_id = p_account and s.slot > p_slot - 6;
end $$;
