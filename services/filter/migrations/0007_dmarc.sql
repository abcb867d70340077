-- What DMARC aggregate reports will tell (RFC 9990): counts, by policy domain and period, which is a day in UTC unless an
-- operator ended it earlier. Counts are advice: nobody waits for their commits. What was sent is known for certain.

-- state: 0 collecting, 1 closed (to be sent), 2 sent.
create table dmarc_periods (
  id bigint generated always as identity primary key,
  domain text not null,                        -- whose policy applied
  day date not null,
  begins timestamptz,                          -- known when it is closed
  ends timestamptz not null,
  request text not null,                       -- what the domain's record said last, in JSON
  records int not null default 0,
  messages bigint not null default 0,
  left_out bigint not null default 0,          -- messages that would have needed more records
  state smallint not null default 0,
  due_at timestamptz not null,                 -- of one that a replica works on: when another one may take it
  attempts int not null default 0,
  told text[] not null default '{}',           -- destinations that are done with
  last_error text not null default '',
  unique (domain, ends)
);
create index dmarc_periods_due on dmarc_periods (due_at) where state < 2;
create index dmarc_periods_ends on dmarc_periods (ends);

create table dmarc_records (
  period_id bigint not null references dmarc_periods on delete cascade,
  key bytea not null,                          -- SHA-256 of record
  record text not null,                        -- in JSON
  messages bigint not null,
  primary key (period_id, key)
);

create function dmarc_day_ends(p_day int) returns timestamptz language sql immutable as $$
  select (date '1970-01-01' + p_day + 1)::timestamp at time zone 'UTC'
$$;

-- Adds counts; p_days since 1970. How many messages were left out: there are p_most_domains of that day, or p_most_records
-- of the domain, or its report is on its way.
create function count_dmarc(p_days int[], p_domains text[], p_requests text[], p_records text[], p_messages bigint[],
                            p_most_domains int, p_most_records int, p_spread float8)
returns bigint language plpgsql as $$
declare
  v_left_out bigint;
begin
  perform set_config('synchronous_commit', 'off', true);
  -- Locks the periods, in the order of their keys: whoever counts for one waits here.
  insert into dmarc_periods as d (domain, day, ends, request, due_at)
  select g.domain, date '1970-01-01' + g.day, g.ends, g.request,
         g.ends + interval '5 minutes' + random() * make_interval(secs => p_spread)
  from (select distinct on (u.domain, u.day) u.domain, u.day, dmarc_day_ends(u.day) as ends, u.request
        from unnest(p_days, p_domains, p_requests) with ordinality as u (day, domain, request, n)
        order by u.domain, u.day, u.n desc) g
  join (select u.day, (select count(*) from dmarc_periods x where x.ends = dmarc_day_ends(u.day)) as domains
        from (select distinct unnest(p_days) as day) u) d on d.day = g.day
  where d.domains < p_most_domains or exists (select from dmarc_periods x where x.domain = g.domain and x.ends = g.ends)
  order by g.domain, g.ends
  on conflict (domain, ends) do update set request = excluded.request where d.state = 0;

  with given as (
    select d.id, d.records as had, sha256(convert_to(u.record, 'UTF8')) as key, u.record, sum(u.messages) as messages
    from unnest(p_days, p_domains, p_records, p_messages) as u (day, domain, record, messages)
    join dmarc_periods d on d.domain = u.domain and d.ends = dmarc_day_ends(u.day) and d.state = 0
    group by d.id, u.record
  ), known as (
    update dmarc_records r set messages = r.messages + g.messages
    from given g where r.period_id = g.id and r.key = g.key
    returning r.period_id as id, r.key, g.messages
  ), fresh as (
    select g.*, row_number() over (partition by g.id order by g.messages desc, g.key) as n
    from given g where not exists (select from known k where k.id = g.id and k.key = g.key)
  ), added as (
    insert into dmarc_records (period_id, key, record, messages)
    select f.id, f.key, f.record, f.messages from fresh f where f.had + f.n <= p_most_records
    returning period_id as id, messages
  ), sums as (
    select g.id, sum(g.messages) as given,
           (select count(*) from added a where a.id = g.id) as fresh,
           coalesce((select sum(a.messages) from added a where a.id = g.id), 0)
             + coalesce((select sum(k.messages) from known k where k.id = g.id), 0) as kept
    from given g group by g.id
  ), told as (
    update dmarc_periods d set records = d.records + s.fresh, messages = d.messages + s.kept,
                               left_out = d.left_out + s.given - s.kept
    from sums s where d.id = s.id
  )
  select (select coalesce(sum(m), 0) from unnest(p_messages) as x (m)) - coalesce(sum(s.kept), 0) into v_left_out from sums s;
  return v_left_out;
end $$;

-- Takes one period that is due, for p_lease seconds; its counts are closed from now on.
create function claim_dmarc(p_lease float8)
returns table (id bigint, domain text, begins timestamptz, ends timestamptz, request text, left_out bigint, told text[], attempts int)
language sql as $$
  update dmarc_periods d set
    state = 1, attempts = d.attempts + 1, last_error = '', due_at = now() + make_interval(secs => p_lease),
    begins = coalesce(d.begins,
      (select max(x.ends) from dmarc_periods x where x.domain = d.domain and x.day = d.day and x.ends < d.ends),
      d.day::timestamp at time zone 'UTC')
  where d.id = (select x.id from dmarc_periods x where x.state < 2 and x.due_at <= now()
                order by x.due_at limit 1 for update skip locked)
  returning d.id, d.domain, d.begins, d.ends, d.request, d.left_out, d.told, d.attempts
$$;

-- Ends periods now, of one domain or ('') of all; how many leave. A period has a second at least, and all of its day at
-- most. What a replica works on is left to it.
create function close_dmarc(p_domain text) returns bigint language plpgsql as $$
declare
  v_closed bigint;
begin
  -- In the order of count_dmarc.
  perform from dmarc_periods d
  where (d.state = 0 or (d.state = 1 and d.last_error <> '')) and (p_domain = '' or d.domain = p_domain)
  order by d.domain, d.ends for update;
  update dmarc_periods d set
    due_at = now(), state = 1,
    ends = case when d.state = 0 then
      least(d.ends, interval '1 second' + greatest(date_trunc('second', now()), d.day::timestamp at time zone 'UTC',
        (select max(x.ends) from dmarc_periods x where x.domain = d.domain and x.day = d.day and x.ends < d.ends)))
      else d.ends end
  where (d.state = 0 or (d.state = 1 and d.last_error <> '')) and (p_domain = '' or d.domain = p_domain);
  get diagnostics v_closed = row_count;
  return v_closed;
end $$;

create function finish_dmarc(p_id bigint) returns void language plpgsql as $$
begin
  update dmarc_periods set state = 2, due_at = now() where id = p_id;
  delete from dmarc_records where period_id = p_id;
end $$;

-- Removes what is older than p_keep seconds, at most p_most periods; how many, and how many of them were never sent.
create function forget_dmarc(p_keep float8, p_most int, out gone bigint, out unsent bigint) language sql as $$
  with old as (
    delete from dmarc_periods where id = any (array(
      select id from dmarc_periods where ends < now() - make_interval(secs => p_keep) order by ends limit p_most
      for update skip locked))
    returning state)
  select count(*), count(*) filter (where state < 2) from old
$$;
