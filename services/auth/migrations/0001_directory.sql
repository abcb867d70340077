-- Domains, accounts, aliases, keys, and the events that tell others what changed.
create table domains (
  id bigint generated always as identity primary key,
  name text not null unique,               -- A-labels, lower case
  enabled boolean not null default true,
  catch_all text not null default '',
  subaddress_separator text not null default '+',
  scram boolean not null default true,
  created_at timestamptz not null default now()
);

create table accounts (
  id bigint generated always as identity primary key,
  domain_id bigint not null references domains,
  address text not null,                   -- normalised
  enabled boolean not null default true,
  display_name text not null default '',
  quota_bytes bigint not null default 0,
  quota_messages bigint not null default 0,
  cell text not null default '',
  password_hash text not null default '',  -- Argon2id in its string form; empty: no login
  scram_iterations int not null default 0, -- 0: no verifier
  scram_salt bytea not null default '',
  scram_stored_key bytea not null default '',
  scram_server_key bytea not null default '',
  credential_version bigint not null default 1,
  created_at timestamptz not null default now(),
  deleted_at timestamptz                   -- a tombstone: mail stays 30 days
);
create unique index accounts_by_address on accounts (address) where deleted_at is null;
create index accounts_by_domain on accounts (domain_id, address);
create index accounts_deleted on accounts (deleted_at) where deleted_at is not null;

create table aliases (
  address text primary key,                -- normalised
  domain_id bigint not null references domains,
  targets text[] not null,
  created_at timestamptz not null default now()
);
create index aliases_by_domain on aliases (domain_id, address);

create table signing_keys (
  id text primary key,
  secret bytea not null,                   -- encrypted under the master key
  public bytea not null,
  created_at timestamptz not null default now(),
  not_after timestamptz                    -- set when a newer key has taken over
);

create table events (
  position bigint generated always as identity primary key,
  kind smallint not null,                  -- merpati.auth.v1.Event.Kind
  account_id bigint not null default 0,
  address text not null default '',
  at timestamptz not null default now()
);

-- One writer at a time, so that positions become visible in their order.
create function add_event(k int, account bigint, about text) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('merpati auth events'));
  insert into events (kind, account_id, address) values (k, account, about);
  perform pg_notify('merpati_auth_events', '');
end $$;

create function domain_id_of(domain_name text) returns bigint language plpgsql as $$
declare found_id bigint;
begin
  select id into found_id from domains where name = domain_name for share;
  if found_id is null then
    raise exception 'there is no domain %', domain_name using errcode = 'MP005';
  end if;
  return found_id;
end $$;

-- Hashes come computed: nothing secret is ever a parameter in the clear.
create function create_accounts(domain_name text, new_addresses text[], name text, bytes bigint, messages bigint,
                                new_cell text, hash text, iterations int, salt bytea, stored bytea, server bytea)
returns setof accounts language plpgsql as $$
declare
  in_domain bigint := domain_id_of(domain_name);
  taken text;
  made accounts;
begin
  select a.address into taken from aliases a where a.address = any (new_addresses) limit 1;
  if taken is not null then
    raise exception '% is an alias', taken using errcode = 'MP006';
  end if;
  for made in
    insert into accounts (domain_id, address, display_name, quota_bytes, quota_messages, cell, password_hash,
                          scram_iterations, scram_salt, scram_stored_key, scram_server_key)
    select in_domain, u.address, name, bytes, messages, new_cell, hash, iterations, salt, stored, server
    from unnest(new_addresses) with ordinality as u (address, ordinal) order by u.ordinal
    returning *
  loop
    return next made;
  end loop;
  if cardinality(new_addresses) = 1 then
    perform add_event(1, made.id, made.address);
  else
    perform add_event(5, 0, '');
  end if;
exception when unique_violation then
  raise exception 'an account of that address exists' using errcode = 'MP006';
end $$;

create function update_account(of_address text, new_enabled boolean, name text, bytes bigint, messages bigint)
returns setof accounts language plpgsql as $$
declare changed accounts;
begin
  update accounts set enabled = coalesce(new_enabled, enabled), display_name = coalesce(name, display_name),
    quota_bytes = coalesce(bytes, quota_bytes), quota_messages = coalesce(messages, quota_messages)
    where address = of_address and deleted_at is null returning * into changed;
  if changed.id is null then
    raise exception 'there is no account %', of_address using errcode = 'MP005';
  end if;
  perform add_event(2, changed.id, changed.address);
  return next changed;
end $$;

create function set_password(of_address text, hash text, iterations int, salt bytea, stored bytea, server bytea)
returns bigint language plpgsql as $$
declare changed accounts;
begin
  update accounts set password_hash = hash, scram_iterations = iterations, scram_salt = salt, scram_stored_key = stored,
    scram_server_key = server, credential_version = credential_version + 1
    where address = of_address and deleted_at is null returning * into changed;
  if changed.id is null then
    raise exception 'there is no account %', of_address using errcode = 'MP005';
  end if;
  perform add_event(2, changed.id, changed.address);
  return changed.credential_version;
end $$;

create function revoke_tokens(of_address text) returns bigint language plpgsql as $$
declare changed accounts;
begin
  update accounts set credential_version = credential_version + 1
    where address = of_address and deleted_at is null returning * into changed;
  if changed.id is null then
    raise exception 'there is no account %', of_address using errcode = 'MP005';
  end if;
  perform add_event(2, changed.id, changed.address);
  return changed.credential_version;
end $$;

create function delete_account(of_address text) returns void language plpgsql as $$
declare gone accounts;
begin
  update accounts set deleted_at = now(), enabled = false, credential_version = credential_version + 1
    where address = of_address and deleted_at is null returning * into gone;
  if gone.id is null then
    raise exception 'there is no account %', of_address using errcode = 'MP005';
  end if;
  perform add_event(3, gone.id, gone.address);
end $$;

-- Tombstones older than 30 days: the row goes, and every service is told to purge.
create function purge_deleted() returns bigint language plpgsql as $$
declare gone accounts; count bigint := 0;
begin
  for gone in delete from accounts where deleted_at < now() - interval '30 days' returning * loop
    perform add_event(4, gone.id, gone.address);
    count := count + 1;
  end loop;
  return count;
end $$;

create function create_domain(new_name text, new_catch_all text, separator text, new_scram boolean)
returns setof domains language plpgsql as $$
declare made domains;
begin
  insert into domains (name, catch_all, subaddress_separator, scram)
    values (new_name, coalesce(new_catch_all, ''), coalesce(separator, '+'), coalesce(new_scram, true))
    returning * into made;
  perform add_event(5, 0, '');
  return next made;
exception when unique_violation then
  raise exception 'the domain % exists', new_name using errcode = 'MP006';
end $$;

create function update_domain(of_name text, new_enabled boolean, new_catch_all text, separator text, new_scram boolean)
returns setof domains language plpgsql as $$
declare changed domains;
begin
  update domains set enabled = coalesce(new_enabled, enabled), catch_all = coalesce(new_catch_all, catch_all),
    subaddress_separator = coalesce(separator, subaddress_separator), scram = coalesce(new_scram, scram)
    where name = of_name returning * into changed;
  if changed.id is null then
    raise exception 'there is no domain %', of_name using errcode = 'MP005';
  end if;
  perform add_event(5, 0, '');
  return next changed;
end $$;

create function delete_domain(of_name text) returns void language plpgsql as $$
declare gone bigint;
begin
  select id into gone from domains where name = of_name for update;
  if gone is null then
    raise exception 'there is no domain %', of_name using errcode = 'MP005';
  end if;
  if exists (select from accounts where domain_id = gone) then
    raise exception 'the domain % still has accounts (deleted ones count for 30 days)', of_name using errcode = 'MP009';
  end if;
  delete from aliases where domain_id = gone;
  delete from domains where id = gone;
  perform add_event(5, 0, '');
end $$;

create function create_alias(domain_name text, new_address text, new_targets text[], replacing boolean)
returns setof aliases language plpgsql as $$
declare
  in_domain bigint := domain_id_of(domain_name);
  made aliases;
begin
  if exists (select from accounts where address = new_address and deleted_at is null) then
    raise exception '% is an account', new_address using errcode = 'MP006';
  end if;
  insert into aliases (address, domain_id, targets) values (new_address, in_domain, new_targets)
    on conflict (address) do update set targets = excluded.targets where replacing
    returning * into made;
  if made.address is null then
    raise exception 'the alias % exists', new_address using errcode = 'MP006';
  end if;
  perform add_event(5, 0, new_address);
  return next made;
end $$;

create function delete_alias(of_address text) returns void language plpgsql as $$
begin
  delete from aliases where address = of_address;
  if not found then
    raise exception 'there is no alias %', of_address using errcode = 'MP005';
  end if;
  perform add_event(5, 0, of_address);
end $$;

-- The first replica's key wins; later callers get nothing and read that one. With `rotating` the keys in use retire.
create function add_signing_key(new_id text, new_secret bytea, new_public bytea, rotating boolean, overlap interval)
returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('merpati auth keys'));
  if not rotating and exists (select from signing_keys where not_after is null) then
    return false;
  end if;
  update signing_keys set not_after = now() + overlap where not_after is null;
  delete from signing_keys where not_after < now() - interval '1 day';
  insert into signing_keys (id, secret, public) values (new_id, new_secret, new_public);
  perform add_event(6, 0, '');
  return true;
end $$;
