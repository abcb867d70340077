-- Cold bodies move into packs: objects of the object store that hold many bodies back to back, as they are compressed.
create table packs (
  id uuid primary key,                         -- the object's key is packs/ID
  size bigint not null,                        -- octets of the object
  live bigint not null default 0,              -- of those, what bodies refer to
  made_at timestamptz not null default now(),
  unused_since timestamptz default now(),      -- no body refers to it; so also while it is uploaded
  collecting_since timestamptz                 -- marked by the collector: nothing moves into it any more
);
create index packs_unused on packs (unused_since) where unused_since is not null;
create index packs_sparse on packs (id) where live > 0 and live * 2 < size;

alter table bodies add column stored_at timestamptz not null default now(),
  add column pack uuid,                        -- null: octets are here; else they are empty here
  add column pack_offset bigint,
  add column pack_length int;
create index bodies_cold on bodies (stored_at) where pack is null;
create index bodies_pack on bodies (pack) where pack is not null;

-- One packer at a time works best. Nothing depends on it: a body moves only when it still is where the packer read it.
create table packer_lease (
  the_only boolean primary key default true check (the_only),
  holder text not null default '',
  until timestamptz not null default '-infinity'
);
insert into packer_lease default values;

-- The bodies' rows become references into a pack that is stored. p_from: where each was read, null for the row itself.
-- A row that is locked or changed keeps its octets where they are: the next round finds it. Packs are locked first and in
-- order, and rows are not waited for, so that nobody waits in a circle. Gives how many moved; -1: the pack is being removed.
create function move_to_pack(p_pack uuid, p_size bigint, p_account bigint[], p_blob bytea[], p_stored timestamptz[], p_from uuid[],
  p_offset bigint[], p_length int[]) returns int language plpgsql as $$
declare v record; v_count int := 0; v_live bigint := 0;
begin
  perform 1 from packs where id = p_pack or id = any (p_from) order by id for update;
  perform 1 from packs where id = p_pack and collecting_since is null;
  if not found then return -1; end if;
  for v in select * from unnest(p_account, p_blob, p_stored, p_from, p_offset, p_length) t (account, blob, stored, origin, place, length)
  loop
    perform 1 from bodies b where b.account_id = v.account and b.blob_id = v.blob and b.refs > 0 and b.stored_at = v.stored
      and b.pack is not distinct from v.origin for update skip locked;
    continue when not found;
    update bodies b set octets = '', pack = p_pack, pack_offset = v.place, pack_length = v.length
    where b.account_id = v.account and b.blob_id = v.blob;
    v_count := v_count + 1;
    v_live := v_live + v.length;
    if v.origin is not null then perform leave_pack(v.origin, v.length); end if;
  end loop;
  update packs p set size = p_size, live = p.live + v_live, unused_since = case when p.live + v_live <= 0 then now() end
  where p.id = p_pack;
  return v_count;
end $$;

create function leave_pack(p_pack uuid, p_octets bigint) returns void language sql as $$
  update packs p set live = p.live - p_octets, unused_since = case when p.live - p_octets <= 0 then now() end where p.id = p_pack
$$;

-- As before; a body that was packed gives back its place.
create or replace function remove_unused_bodies(p_before timestamptz, p_limit int) returns bigint language plpgsql as $$
declare v_count bigint := 0; v record;
begin
  for v in
    with found as (
      select account_id, blob_id from bodies where unused_since < p_before order by unused_since limit p_limit for update skip locked),
    gone as (
      delete from bodies b using found f where b.account_id = f.account_id and b.blob_id = f.blob_id and b.refs <= 0
        and b.unused_since < p_before returning b.pack, b.pack_length)
    select pack, count(*) as n, sum(pack_length)::bigint as octets from gone group by pack order by pack
  loop
    v_count := v_count + v.n;
    if v.pack is not null then perform leave_pack(v.pack, v.octets); end if;
  end loop;
  return v_count;
end $$;

-- Marks packs that nothing refers to for longer than any upload or reading lasts; nothing moves into a marked one.
create function mark_packs(p_before timestamptz, p_limit int) returns bigint language sql as $$
  with found as (
    select id from packs where unused_since < p_before and collecting_since is null order by unused_since limit p_limit
    for update skip locked),
  marked as (update packs p set collecting_since = now() from found f where p.id = f.id and p.live <= 0 returning 1)
  select count(*) from marked
$$;
