-- account_id leads every primary key, so that accounts can be spread over databases without a change here.

-- Made at an account's first use; purged_at stays as a tombstone, so that late mail does not bring the account back.
create table accounts (
  account_id bigint primary key,
  next_mailbox_id bigint not null default 1,
  last_uid_validity bigint not null default 0,
  created_at timestamptz not null default now(),
  purged_at timestamptz,
  lease_number bigint not null default 0,      -- POP3's fencing number
  lease_session text,
  lease_until timestamptz
) with (fillfactor = 80);

-- The row's lock orders every change of the mailbox: uid_next and highest_modseq only move under it. The counts are kept
-- so that STATUS and quota never look at messages. No counter is indexed, so an update stays on its page (HOT).
create table mailboxes (
  account_id bigint not null,
  id bigint not null,
  name text collate "C" not null,
  uid_validity bigint not null,
  uid_next bigint not null default 1,
  highest_modseq bigint not null default 1,
  first_recent_uid bigint not null default 1,
  recent bigint not null default 0,            -- messages from first_recent_uid on
  messages bigint not null default 0,
  unseen bigint not null default 0,
  deleted bigint not null default 0,
  bytes bigint not null default 0,
  deleted_bytes bigint not null default 0,
  special_use smallint not null default 0,
  no_select boolean not null default false,
  keywords text[] not null default '{}',       -- in the spelling of their first use
  expunged_floor bigint not null default 0,    -- tombstones up to this MODSEQ are gone
  primary key (account_id, id)
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.1);
create unique index mailboxes_name on mailboxes (account_id, name);

-- Names, not mailboxes: a subscription outlives its mailbox (RFC 9051 6.3.7).
create table subscriptions (
  account_id bigint not null,
  name text collate "C" not null,
  primary key (account_id, name)
);

-- The summary is in the row: a list view is one range read. envelope and structure are pasted into IMAP answers as they
-- are; detail is the rest of MessageSummary.
create table messages (
  account_id bigint not null,
  mailbox_id bigint not null,
  uid bigint not null,
  modseq bigint not null,
  size bigint not null,                        -- with header_prefix
  email_id bigint not null,
  thread_id bigint not null,
  received_at timestamptz not null,
  saved_at timestamptz not null default now(),
  flags smallint not null default 0,
  zone smallint not null default 0,            -- of received_at, minutes east
  inline boolean not null,                     -- octets in bodies; else in objects
  touched boolean not null default false,      -- flags changed since it came
  blob_id bytea not null,
  keywords text[],                             -- null: none
  header_prefix bytea not null default '',
  envelope bytea not null,
  structure bytea not null,
  detail bytea not null,
  primary key (account_id, mailbox_id, uid)
) with (toast_tuple_target = 8160);
alter table messages alter header_prefix set storage main;
alter table messages alter envelope set storage main;
alter table messages alter structure set storage main;
alter table messages alter detail set storage main;
-- What came but was never touched is found by its uid, so a delivery pays nothing for this index.
create index messages_touched on messages (account_id, mailbox_id, modseq) where touched;

-- What was expunged can be read for a while, by sessions that still see it; its blob's reference is given back by the
-- collector when the grave is cleared.
create table graves (
  account_id bigint not null,
  mailbox_id bigint not null,
  uid bigint not null,
  size bigint not null,
  inline boolean not null,
  at timestamptz not null default now(),
  blob_id bytea not null,
  header_prefix bytea not null,
  primary key (account_id, mailbox_id, uid)
);
create index graves_at on graves (at);

-- For QRESYNC and for sessions: what went, in ranges.
create table expunged (
  account_id bigint not null,
  mailbox_id bigint not null,
  modseq bigint not null,
  first_uid bigint not null,
  last_uid bigint not null,
  at timestamptz not null default now(),
  primary key (account_id, mailbox_id, modseq, first_uid)
);
create index expunged_at on expunged using brin (at);

-- Exactly once: one row for each delivery and account, or for each part of an append.
create table deliveries (
  account_id bigint not null,
  delivery_id uuid not null,
  part int not null default 0,
  tombstone boolean not null default false,
  mailbox_id bigint not null default 0,
  uid bigint not null default 0,
  email_id bigint not null default 0,
  at timestamptz not null default now(),
  primary key (account_id, delivery_id, part)
);
create index deliveries_at on deliveries using brin (at);

-- Octets of small messages, in the commit of their row. refs counts the account's rows; 0 since unused_since.
create table bodies (
  account_id bigint not null,
  blob_id bytea not null,
  refs int not null,
  size int not null,
  codec smallint not null,                     -- 0 raw, 1 zstd
  unused_since timestamptz,
  octets bytea not null,
  primary key (account_id, blob_id)
) with (toast_tuple_target = 8160);
alter table bodies alter octets set storage external;
create index bodies_unused on bodies (unused_since) where unused_since is not null;

-- Large messages, in the object store. Shared by the accounts of this cell. Parsed once, at the upload. Each upload has a
-- key of its own, so that removing an old object can never hit a new one of the same octets.
create table objects (
  blob_id bytea primary key,                   -- SHA-256
  key text not null,
  refs bigint not null default 0,
  size bigint not null,
  stored_size bigint not null,
  codec smallint not null,                     -- 0 raw, 1 zstd frames of 64 KiB each
  frames bytea,                                -- end offset of each frame, 4 octets big endian
  unused_since timestamptz default now(),
  leased_until timestamptz,                    -- an upload that no row uses yet
  collecting_since timestamptz,                -- marked by the collector: of no use to new messages
  envelope bytea not null,
  structure bytea not null,
  detail bytea not null
);
create index objects_unused on objects (unused_since) where unused_since is not null;
