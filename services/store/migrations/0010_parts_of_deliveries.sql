-- A delivery may have several copies for one account (Sieve's fileinto): what was not committed stays so for each of them.
create or replace function resolve_delivery(p_account bigint, p_delivery uuid) returns boolean language plpgsql as $$
begin
  insert into deliveries (account_id, delivery_id, part, tombstone) values (p_account, p_delivery, 0, true) on conflict do nothing;
  if (select not tombstone from deliveries where account_id = p_account and delivery_id = p_delivery and part = 0) then
    return true;
  end if;
  insert into deliveries (account_id, delivery_id, part, tombstone)
  select p_account, p_delivery, n, true from generate_series(1, 31) n on conflict do nothing;
  return false;
end $$;
