-- The mailbox tree. Every change of it locks the account's row first.

-- Makes accounts and their first mailboxes; those that exist or were purged stay as they are.
create function ensure_accounts(p_accounts bigint[]) returns void language sql as $$
  with fresh as (
    insert into accounts (account_id, next_mailbox_id, last_uid_validity)
    select a, 7, extract(epoch from now())::bigint + 5 from unnest(p_accounts) a order by a
    on conflict do nothing returning account_id),
  made as (
    insert into mailboxes (account_id, id, name, uid_validity, special_use)
    select f.account_id, d.id, d.name, extract(epoch from now())::bigint + d.id - 1, d.use
    from fresh f, (values (1, 'INBOX', 0), (2, 'Drafts', 1), (3, 'Sent', 2), (4, 'Junk', 3), (5, 'Trash', 4),
                          (6, 'Archive', 5)) d (id, name, use)
    returning account_id, name)
  insert into subscriptions select account_id, name from made on conflict do nothing
$$;

create function lock_account(p_account bigint) returns void language plpgsql as $$
begin
  perform 1 from accounts where account_id = p_account and purged_at is null for update;
  if not found then raise exception 'account % is gone', p_account using errcode = 'MP005'; end if;
end $$;

create function next_uid_validity(p_account bigint) returns bigint language sql as $$
  update accounts set last_uid_validity = greatest(last_uid_validity + 1, extract(epoch from now())::bigint)
  where account_id = p_account returning last_uid_validity
$$;

create function add_mailbox(p_account bigint, p_name text, p_use int) returns bigint language plpgsql as $$
declare v_id bigint;
begin
  update accounts set next_mailbox_id = next_mailbox_id + 1 where account_id = p_account returning next_mailbox_id - 1 into v_id;
  insert into mailboxes (account_id, id, name, uid_validity, special_use)
  values (p_account, v_id, p_name, next_uid_validity(p_account), p_use);
  return v_id;
end $$;

-- Makes what is missing above p_name (RFC 9051 6.3.4: superior names are created too).
create function add_parents(p_account bigint, p_name text) returns void language plpgsql as $$
declare
  v_parts text[] := string_to_array(p_name, '/');
  v_parent text;
begin
  for i in 1 .. coalesce(array_length(v_parts, 1), 1) - 1 loop
    v_parent := array_to_string(v_parts[1:i], '/');
    if not exists (select 1 from mailboxes where account_id = p_account and name = v_parent) then
      perform add_mailbox(p_account, v_parent, 0);
    end if;
  end loop;
end $$;

create function create_mailbox(p_account bigint, p_name text, p_use int, p_limit int)
returns table (id bigint, uid_validity bigint) language plpgsql as $$
#variable_conflict use_column
declare v_id bigint; v_hidden boolean;
begin
  perform lock_account(p_account);
  select m.id, m.no_select into v_id, v_hidden from mailboxes m where m.account_id = p_account and m.name = p_name;
  if v_id is not null and not v_hidden then
    raise exception 'a mailbox of this name exists' using errcode = 'MP006';
  end if;
  if (select count(*) from mailboxes m where m.account_id = p_account) >= p_limit then
    raise exception 'too many mailboxes' using errcode = 'MP008';
  end if;
  if p_use <> 0 and exists (select 1 from mailboxes m where m.account_id = p_account and m.special_use = p_use) then
    raise exception 'another mailbox has this special use' using errcode = 'MP009';
  end if;
  if v_id is not null then  -- a name left by DELETE becomes a mailbox again, as a new incarnation
    update mailboxes m set no_select = false, special_use = p_use, uid_next = m.uid_next,
      uid_validity = next_uid_validity(p_account), highest_modseq = m.highest_modseq + 1
    where m.account_id = p_account and m.id = v_id;
  else
    perform add_parents(p_account, p_name);
    v_id := add_mailbox(p_account, p_name, p_use);
  end if;
  return query select m.id, m.uid_validity from mailboxes m where m.account_id = p_account and m.id = v_id;
end $$;

-- One reference less for each element; what reaches 0 waits for the collector.
create function release_blobs(p_account bigint, p_inline boolean[], p_blobs bytea[]) returns void language plpgsql as $$
declare v record;
begin
  -- Row by row, in the order of the key: a lookup each, whatever the planner believes of the tables' sizes.
  for v in select b, i, count(*)::int n from unnest(p_blobs, p_inline) t (b, i) group by b, i order by i, b loop
    if v.i then
      update bodies set refs = refs - v.n, unused_since = case when refs - v.n <= 0 then now() end
      where account_id = p_account and blob_id = v.b;
    else
      update objects set refs = refs - v.n, unused_since = case when refs - v.n <= 0 then now() end where blob_id = v.b;
    end if;
  end loop;
end $$;

-- One reference more for each element.
create function hold_blobs(p_account bigint, p_inline boolean[], p_blobs bytea[]) returns void language plpgsql as $$
declare v record;
begin
  for v in select b, i, count(*)::int n from unnest(p_blobs, p_inline) t (b, i) group by b, i order by i, b loop
    if v.i then
      update bodies set refs = refs + v.n, unused_since = null where account_id = p_account and blob_id = v.b;
    else
      update objects set refs = refs + v.n, unused_since = null where blob_id = v.b;
    end if;
  end loop;
end $$;

-- Removes every message of a mailbox whose row is locked.
create function empty_mailbox(p_account bigint, p_mailbox bigint) returns void language plpgsql as $$
declare v_inline boolean[]; v_blobs bytea[];
begin
  with gone as (delete from messages where account_id = p_account and mailbox_id = p_mailbox returning inline, blob_id)
  select array_agg(inline), array_agg(blob_id) into v_inline, v_blobs from gone;
  if v_blobs is not null then perform release_blobs(p_account, v_inline, v_blobs); end if;
  delete from expunged where account_id = p_account and mailbox_id = p_mailbox;
end $$;

create function delete_mailbox(p_account bigint, p_name text) returns bigint language plpgsql as $$
declare v_id bigint; v_hidden boolean; v_children boolean; v_parent text;
begin
  perform lock_account(p_account);
  if p_name = 'INBOX' then raise exception 'INBOX cannot be deleted' using errcode = 'MP009'; end if;
  select id, no_select into v_id, v_hidden from mailboxes where account_id = p_account and name = p_name for update;
  if v_id is null then raise exception 'no such mailbox' using errcode = 'MP005'; end if;
  v_children := exists (select 1 from mailboxes where account_id = p_account and name > p_name || '/' and name < p_name || '0');
  if v_children and v_hidden then
    raise exception 'the name has children' using errcode = 'MP009';  -- RFC 9051 6.3.5
  end if;
  perform empty_mailbox(p_account, v_id);
  if v_children then
    update mailboxes set no_select = true, special_use = 0, messages = 0, recent = 0, unseen = 0, deleted = 0, bytes = 0, deleted_bytes = 0,
      highest_modseq = highest_modseq + 1, expunged_floor = highest_modseq + 1 where account_id = p_account and id = v_id;
    return v_id;
  end if;
  delete from mailboxes where account_id = p_account and id = v_id;
  -- Names that were kept for their children go with the last of them.
  v_parent := p_name;
  loop
    exit when position('/' in v_parent) = 0;
    v_parent := regexp_replace(v_parent, '/[^/]*$', '');
    delete from mailboxes m where m.account_id = p_account and m.name = v_parent and m.no_select and not exists (
      select 1 from mailboxes c where c.account_id = p_account and c.name > v_parent || '/' and c.name < v_parent || '0');
    exit when not found;
  end loop;
  return v_id;
end $$;
