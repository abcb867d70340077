-- Greylisting: who came once, and who is known since it came again. Rows are advice: they need not outlive a crash, so
-- nobody waits for their commits.

-- First attempts. A key stands for client, sender and one recipient.
create table greylist_attempts (
  key bytea primary key,
  first_at timestamptz not null,
  delivery_id uuid,                            -- the attempt's; null: it had none
  forget_at timestamptz not null               -- a later attempt is a first one
);
create index greylist_attempts_forget on greylist_attempts (forget_at);

create table greylist_known (
  client bytea not null,                       -- a network as text, or the domain that answers for it
  domain bytea not null,                       -- of the sender
  known_until timestamptz not null,
  primary key (client, domain)
);
create index greylist_known_until on greylist_known (known_until);

-- state: 0 a first attempt, 1 another one but too early, 2 one that passes, 3 client and domain are known. seconds: until
-- it may come again; of state 2 since the first attempt. An attempt of the same delivery as the first one is the first.
create function greylist(p_delivery uuid, p_client bytea, p_domain bytea, p_keys bytea[], p_delay float8,
                         p_window float8, p_keep float8, out state int, out seconds float8)
language plpgsql as $$
declare
  until timestamptz;
  since timestamptz;
begin
  perform set_config('synchronous_commit', 'off', true);
  seconds := 0;
  select k.known_until into until from greylist_known k where k.client = p_client and k.domain = p_domain;
  if until > now() then
    state := 3;
    -- Not for every message of a busy sender.
    if until < now() + make_interval(secs => p_keep * 0.9) then
      update greylist_known k set known_until = now() + make_interval(secs => p_keep)
      where k.client = p_client and k.domain = p_domain;
    end if;
    return;
  end if;
  -- Rows are locked in the order of their keys, whether they change or not.
  insert into greylist_attempts as a (key, first_at, delivery_id, forget_at)
  select distinct k.key, now(), p_delivery, now() + make_interval(secs => p_window)
  from unnest(p_keys) as k (key) order by k.key
  on conflict (key) do update
    set first_at = excluded.first_at, delivery_id = excluded.delivery_id, forget_at = excluded.forget_at
    where a.forget_at <= now();
  -- Who came again for one recipient has shown that it comes again.
  select min(a.first_at) into since from greylist_attempts a
  where a.key = any (p_keys) and (a.delivery_id = p_delivery) is not true and a.first_at < now();
  if since is null then
    state := 0;
    select greatest(0, p_delay - extract(epoch from now() - min(a.first_at))) into seconds
    from greylist_attempts a where a.key = any (p_keys);
  elsif since > now() - make_interval(secs => p_delay) then
    state := 1;
    seconds := p_delay - extract(epoch from now() - since);
  else
    state := 2;
    seconds := extract(epoch from now() - since);
    insert into greylist_known as k (client, domain, known_until)
    values (p_client, p_domain, now() + make_interval(secs => p_keep))
    on conflict (client, domain) do update set known_until = greatest(k.known_until, excluded.known_until);
    delete from greylist_attempts a where a.key = any (p_keys);
  end if;
end $$;

-- Removes what counts no more, at most as many rows of each table; how many.
create function forget_greylist(p_most int) returns bigint language plpgsql as $$
declare
  attempts bigint;
  known bigint;
begin
  delete from greylist_attempts where ctid = any (array(
    select ctid from greylist_attempts where forget_at < now() limit p_most for update skip locked));
  get diagnostics attempts = row_count;
  delete from greylist_known where ctid = any (array(
    select ctid from greylist_known where known_until < now() limit p_most for update skip locked));
  get diagnostics known = row_count;
  return attempts + known;
end $$;
