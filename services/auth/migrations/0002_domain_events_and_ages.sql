-- A domain that is enabled or disabled says so in the feed, so that its people's sessions end at once.
create or replace function update_domain(of_name text, new_enabled boolean, new_catch_all text, separator text, new_scram boolean)
returns setof domains language plpgsql as $$
declare was boolean; changed domains;
begin
  select enabled into was from domains where name = of_name for no key update;
  if was is null then
    raise exception 'there is no domain %', of_name using errcode = 'MP005';
  end if;
  update domains set enabled = coalesce(new_enabled, enabled), catch_all = coalesce(new_catch_all, catch_all),
    subaddress_separator = coalesce(separator, subaddress_separator), scram = coalesce(new_scram, scram)
    where name = of_name returning * into changed;
  perform add_event(5, 0, '');
  if changed.enabled <> was then
    perform add_event(7, 0, changed.name);
  end if;
  return next changed;
end $$;

create or replace function create_domain(new_name text, new_catch_all text, separator text, new_scram boolean)
returns setof domains language plpgsql as $$
declare made domains;
begin
  insert into domains (name, catch_all, subaddress_separator, scram)
    values (new_name, coalesce(new_catch_all, ''), coalesce(separator, '+'), coalesce(new_scram, true))
    returning * into made;
  perform add_event(5, 0, '');
  perform add_event(7, 0, made.name);  -- one of that name may have been disabled before it was deleted
  return next made;
exception when unique_violation then
  raise exception 'the domain % exists', new_name using errcode = 'MP006';
end $$;

-- Events that every follower had time to see. Purges stay longer: whoever misses one keeps mail that should go.
create function forget_events(before interval, purges_before interval) returns bigint language sql as $$
  with gone as (
    delete from events where (kind <> 4 and at < now() - before) or at < now() - purges_before returning 1)
  select count(*) from gone
$$;

-- As add_signing_key with `rotating`, when the key in use is older than its life; of several replicas one does it.
create function replace_aged_signing_key(new_id text, new_secret bytea, new_public bytea, overlap interval, life interval)
returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('merpati auth keys'));
  if exists (select from signing_keys where not_after is null and created_at > now() - life) then
    return false;
  end if;
  return add_signing_key(new_id, new_secret, new_public, true, overlap);
end $$;
