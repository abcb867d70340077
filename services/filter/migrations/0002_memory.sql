-- What scripts want remembered: whom a vacation notice went to, which messages came already, who was told of an error.
-- kind: 1 vacation, 2 duplicate, 3 error. A row that a delivery holds does not count yet: it does once the delivery is
-- known to be taken, for wanted_seconds from the claim on.
create table memory (
  account_id bigint not null,
  kind smallint not null,
  key bytea not null,
  counted_until timestamptz,                   -- null: it never counted
  delivery_id uuid,                            -- whose end is not known
  wanted_seconds bigint not null default 0,
  claimed_at timestamptz,
  forget_at timestamptz not null,
  primary key (account_id, kind, key)
);
create index memory_held on memory (delivery_id) where delivery_id is not null;
create index memory_forget on memory (forget_at);

-- Takes rows for a delivery. Those that count already (`seen`) are not taken, but for `anyway`; those that another delivery
-- holds are not either: `holder` names it, and for how long it has held it. The same delivery may ask again.
create function claim_memory(p_delivery uuid, p_accounts bigint[], p_kinds int[], p_keys bytea[], p_seconds bigint[],
                             p_anyway boolean[])
returns table (ordinal int, seen boolean, holder uuid, held_seconds float8) language plpgsql as $$
declare e record; m memory;
begin
  for e in select t.* from unnest(p_accounts, p_kinds, p_keys, p_seconds, p_anyway) with ordinality
      as t (account, kind, key, seconds, anyway, n) order by 1, 2, 3 loop
    insert into memory as x (account_id, kind, key, delivery_id, wanted_seconds, claimed_at, forget_at)
    values (e.account, e.kind, e.key, p_delivery, e.seconds, now(), now() + interval '2 days')
    on conflict (account_id, kind, key) do update set delivery_id = p_delivery, wanted_seconds = e.seconds, claimed_at = now(),
      forget_at = greatest(x.forget_at, now() + interval '2 days')
    where coalesce(x.delivery_id, p_delivery) = p_delivery and (e.anyway or coalesce(x.counted_until <= now(), true));
    select * into m from memory x where x.account_id = e.account and x.kind = e.kind and x.key = e.key;
    ordinal := e.n;
    seen := coalesce(m.counted_until > now(), false);
    holder := nullif(m.delivery_id, p_delivery);
    held_seconds := extract(epoch from now() - m.claimed_at);
    return next;
  end loop;
end $$;

-- p_account null: of all accounts.
create function settle_memory(p_delivery uuid, p_account bigint, p_taken boolean) returns void language plpgsql as $$
begin
  if p_taken then
    update memory set delivery_id = null,
      counted_until = greatest(counted_until, claimed_at + make_interval(secs => wanted_seconds)),
      forget_at = greatest(counted_until, claimed_at + make_interval(secs => wanted_seconds))
    where delivery_id = p_delivery and account_id = coalesce(p_account, account_id);
  else
    delete from memory where delivery_id = p_delivery and account_id = coalesce(p_account, account_id) and counted_until is null;
    update memory set delivery_id = null, forget_at = counted_until
    where delivery_id = p_delivery and account_id = coalesce(p_account, account_id);
  end if;
end $$;

create or replace function purge_account(p_account bigint) returns void language plpgsql as $$
begin
  insert into accounts (account_id, purged_at) values (p_account, now())
  on conflict (account_id) do update set purged_at = coalesce(accounts.purged_at, now());
  delete from scripts where account_id = p_account;
  delete from memory where account_id = p_account;
end $$;
