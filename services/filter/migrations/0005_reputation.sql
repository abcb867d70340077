-- What became of earlier mail, by sender, domain and network. Counts lose half of their weight in each half-life. Rows are
-- advice: they need not outlive a crash, so nobody waits for their commits.

-- kind: 1 sender, 2 authenticated domain, 3 network of clients.
create table reputations (
  kind smallint not null,
  name bytea not null,
  good float8 not null,
  junk float8 not null,
  refused float8 not null,
  counted_at timestamptz not null,             -- the counts are of this moment
  forget_on date not null,                     -- a day, so that most updates leave the index alone
  primary key (kind, name)
) with (fillfactor = 70);
create index reputations_forget on reputations (forget_on);

-- Deliveries that were counted, so that a repeated call counts once.
create table judged (
  delivery_id uuid primary key,
  judged_at timestamptz not null
);
create index judged_at on judged (judged_at);

-- What is left of one that was counted then.
create function reputation_left(p_since timestamptz, p_half_life float8) returns float8 language sql stable as $$
  select power(0.5::float8, least(60, greatest(0, extract(epoch from now() - p_since)::float8 / p_half_life)))
$$;

-- Counts messages: outcome 1 good, 2 junk, 3 refused; an empty name is nobody's. Those counted before are left out; how
-- many were not.
create function count_judged(p_deliveries uuid[], p_outcomes int[], p_senders bytea[], p_domains bytea[],
                             p_networks bytea[], p_half_life float8)
returns bigint language plpgsql as $$
declare
  fresh uuid[];
begin
  perform set_config('synchronous_commit', 'off', true);
  with added as (
    insert into judged (delivery_id, judged_at)
    select distinct d.id, now() from unnest(p_deliveries) as d (id) order by d.id
    on conflict (delivery_id) do nothing returning delivery_id)
  select coalesce(array_agg(delivery_id), '{}') into fresh from added;
  -- Rows are locked in the order of their keys.
  insert into reputations as r (kind, name, good, junk, refused, counted_at, forget_on)
  select c.kind, c.name, c.good, c.junk, c.refused, now(),
         (now() + make_interval(secs => p_half_life * (1 + ln(c.good + c.junk + c.refused) / ln(2::float8))))::date + 1
  from (
    select k.kind, k.name, count(*) filter (where m.outcome = 1)::float8 as good,
           count(*) filter (where m.outcome = 2)::float8 as junk, count(*) filter (where m.outcome = 3)::float8 as refused
    from (select distinct on (u.delivery) u.* from unnest(p_deliveries, p_outcomes, p_senders, p_domains, p_networks)
            as u (delivery, outcome, sender, domain, network)
          where u.delivery = any (fresh) order by u.delivery) m
    cross join lateral (values (1, m.sender), (2, m.domain), (3, m.network)) as k (kind, name)
    where k.name <> ''::bytea
    group by k.kind, k.name) c
  order by c.kind, c.name
  on conflict (kind, name) do update set
    good = r.good * reputation_left(r.counted_at, p_half_life) + excluded.good,
    junk = r.junk * reputation_left(r.counted_at, p_half_life) + excluded.junk,
    refused = r.refused * reputation_left(r.counted_at, p_half_life) + excluded.refused,
    counted_at = now(),
    -- Until less than half a message is left of it.
    forget_on = (now() + make_interval(secs => p_half_life * (1 + ln(
      (r.good + r.junk + r.refused) * reputation_left(r.counted_at, p_half_life)
      + excluded.good + excluded.junk + excluded.refused) / ln(2::float8))))::date + 1;
  return cardinality(fresh);
end $$;

-- Removes what counts no more, at most as many rows of each table; how many.
create function forget_reputations(p_most int) returns bigint language plpgsql as $$
declare
  names bigint;
  deliveries bigint;
begin
  delete from reputations where ctid = any (array(
    select ctid from reputations where forget_on < now()::date limit p_most for update skip locked));
  get diagnostics names = row_count;
  delete from judged where ctid = any (array(
    select ctid from judged where judged_at < now() - interval '1 hour' limit p_most for update skip locked));
  get diagnostics deliveries = row_count;
  return names + deliveries;
end $$;
