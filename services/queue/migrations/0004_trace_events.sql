-- What happened to messages, for some days: written in batches after the commits that the events are about. Partitions are
-- days of UTC, made ahead and dropped by the service (libs/trace).
create table trace_events (
  trace_id uuid not null,                      -- W3C trace id
  at timestamptz not null,                     -- within a day of the time of writing
  key bigint,                                  -- by what else it is found: a hash of its Message-ID or queue item
  event bytea not null                         -- merpati.trace.v1.Event
) partition by range (at);
create index trace_events_trace on trace_events (trace_id);
create index trace_events_key on trace_events (key) where key is not null;

-- Makes the partitions of yesterday to the day after tomorrow, drops those that are older than p_days. What another replica is doing is
-- left to it. Returns how many were made or dropped.
create function care_for_trace_events(p_days int) returns int language plpgsql as $$
declare
  v_schema text := current_schema();
  v_today date := (now() at time zone 'UTC')::date;
  v_day date; v_name text; v_count int := 0;
begin
  if not pg_try_advisory_xact_lock(hashtext(v_schema || '.trace_events')) then
    return 0;
  end if;
  perform set_config('lock_timeout', '2s', true);
  for v_day in select v_today + n from generate_series(-1, 2) n loop
    v_name := 'trace_events_' || to_char(v_day, 'YYYYMMDD');
    if to_regclass(format('%I.%I', v_schema, v_name)) is null then
      -- Nothing is changed in it, and it is dropped whole: what autovacuum would do after inserts is not worth its time.
      execute format('create table %I.%I partition of %I.trace_events for values from (%L) to (%L) '
                     'with (autovacuum_vacuum_insert_threshold = -1)', v_schema, v_name, v_schema,
                     v_day::timestamp at time zone 'UTC', (v_day + 1)::timestamp at time zone 'UTC');
      v_count := v_count + 1;
    end if;
  end loop;
  for v_name in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = format('%I.trace_events', v_schema)::regclass
      and c.relname < 'trace_events_' || to_char(v_today - p_days, 'YYYYMMDD')
  loop
    execute format('drop table %I.%I', v_schema, v_name);
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
