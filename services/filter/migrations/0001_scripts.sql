-- One row for each account that ever had a script: whoever changes scripts locks it, so that limits hold.
create table accounts (
  account_id bigint primary key,
  purged_at timestamptz                        -- takes nothing new from then on
);

create table scripts (
  account_id bigint not null,
  name text collate "C" not null,
  source bytea not null,                       -- as it was put
  hash bytea not null,                         -- SHA-256 of source: what compiled scripts are kept by
  active boolean not null default false,
  changed_at timestamptz not null default now(),
  primary key (account_id, name)
);
create unique index scripts_active on scripts (account_id) where active;

-- How far auth's events were followed, so that an account that was purged while no filter ran is purged later.
create table followed_events (
  the_only boolean primary key default true check (the_only),
  position bigint not null default 0
);
insert into followed_events default values;

create function lock_account(p_account bigint) returns void language plpgsql as $$
declare v_purged timestamptz;
begin
  insert into accounts (account_id) values (p_account)
  on conflict (account_id) do update set account_id = excluded.account_id
  returning purged_at into v_purged;
  if v_purged is not null then
    raise exception 'the account was deleted' using errcode = 'MP005';
  end if;
end $$;

-- Is there room? Answers in the contract's ScriptRoom: 1 enough, 3 too many scripts, 4 too many octets.
create function script_room(p_account bigint, p_name text, p_size bigint, p_most int, p_octets bigint) returns int
language sql stable as $$
  select case when count(*) filter (where name <> p_name) >= p_most then 3
              when coalesce(sum(octet_length(source)) filter (where name <> p_name), 0) + p_size > p_octets then 4
              else 1 end
  from scripts where account_id = p_account
$$;

create function put_script(p_account bigint, p_name text, p_source bytea, p_hash bytea, p_most int, p_octets bigint)
returns int language plpgsql as $$
declare v_room int;
begin
  perform lock_account(p_account);
  v_room := script_room(p_account, p_name, octet_length(p_source), p_most, p_octets);
  if v_room <> 1 then return v_room; end if;
  insert into scripts (account_id, name, source, hash) values (p_account, p_name, p_source, p_hash)
  on conflict (account_id, name) do update set source = excluded.source, hash = excluded.hash, changed_at = now()
    where scripts.hash <> excluded.hash;
  return v_room;
end $$;

-- An empty name: none is active.
create function activate_script(p_account bigint, p_name text) returns void language plpgsql as $$
begin
  perform lock_account(p_account);
  if p_name <> '' and not exists (select 1 from scripts where account_id = p_account and name = p_name) then
    raise exception 'there is no script of that name' using errcode = 'MP005';
  end if;
  update scripts set active = false where account_id = p_account and active and name <> p_name;
  update scripts set active = true where account_id = p_account and name = p_name and not active;
end $$;

create function delete_script(p_account bigint, p_name text) returns void language plpgsql as $$
declare v_active boolean;
begin
  perform lock_account(p_account);
  select active into v_active from scripts where account_id = p_account and name = p_name;
  if v_active is null then
    raise exception 'there is no script of that name' using errcode = 'MP005';
  elsif v_active then
    raise exception 'the active script cannot be deleted' using errcode = 'MP009';
  end if;
  delete from scripts where account_id = p_account and name = p_name;
end $$;

create function rename_script(p_account bigint, p_name text, p_new text) returns void language plpgsql as $$
begin
  perform lock_account(p_account);
  if not exists (select 1 from scripts where account_id = p_account and name = p_name) then
    raise exception 'there is no script of that name' using errcode = 'MP005';
  elsif exists (select 1 from scripts where account_id = p_account and name = p_new) then
    raise exception 'there is a script of that name' using errcode = 'MP006';
  end if;
  update scripts set name = p_new where account_id = p_account and name = p_name;
end $$;

create function purge_account(p_account bigint) returns void language plpgsql as $$
begin
  insert into accounts (account_id, purged_at) values (p_account, now())
  on conflict (account_id) do update set purged_at = coalesce(accounts.purged_at, now());
  delete from scripts where account_id = p_account;
end $$;
