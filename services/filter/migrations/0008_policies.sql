-- Thresholds and weights of domains and accounts, a row for each. A policy that is not here is the configuration's.
create table policies (
  account_id bigint not null,                  -- 0: of the domain
  domain text collate "C" not null,            -- A-labels in lower case; empty: of the account
  key text collate "C" not null,               -- a threshold ("junk") or the name of a symbol
  value double precision,                      -- points; null: never
  changed_at timestamptz not null default now(),
  primary key (account_id, domain, key),
  check ((account_id = 0) <> (domain = ''))
);

-- Moves with every change: replicas look at it to see whether what they know still holds. Its row orders the changes.
create table policies_version (
  the_only boolean primary key default true check (the_only),
  version bigint not null default 0
);
insert into policies_version default values;

create function change_policy(p_account bigint, p_domain text, p_all boolean, p_unset text[], p_keys text[], p_values text[],
                              p_most int) returns void language plpgsql as $$
declare v_count int;
begin
  update policies_version set version = version + 1 where the_only;
  if exists (select from accounts where account_id = p_account and purged_at is not null) then
    raise exception 'the account was deleted' using errcode = 'MP005';
  end if;
  delete from policies where account_id = p_account and domain = p_domain and (p_all or key = any (p_unset));
  insert into policies (account_id, domain, key, value)
  select p_account, p_domain, k.key, k.value::double precision from unnest(p_keys, p_values) k (key, value)
  on conflict (account_id, domain, key) do update set value = excluded.value, changed_at = now();
  select count(*) into v_count from policies where account_id = p_account and domain = p_domain;
  if v_count > p_most then
    raise exception 'a policy has at most % keys', p_most using errcode = 'MP008';
  end if;
end $$;

create function purge_policy(p_account bigint) returns void language plpgsql as $$
begin
  if not exists (select from policies where account_id = p_account) then return; end if;
  update policies_version set version = version + 1 where the_only;
  delete from policies where account_id = p_account;
end $$;
