-- One row for each transaction that was handed over; its recipients are items.
create table messages (
  delivery_id uuid primary key,
  reverse_path text not null,                  -- '' for <>
  header_prefix bytea not null,
  octets bytea,                                -- null: in the store under blob_id, or nothing is left to send
  blob_id bytea,
  size bigint not null,                        -- with header_prefix
  sender_account_id bigint not null,
  deciding_account_id bigint not null,
  trace_id text not null,
  body_type smallint not null,                 -- 0 7BIT, 1 8BITMIME, 2 BINARYMIME
  smtputf8 boolean not null,
  received_at timestamptz not null,
  envelope_id text not null,
  headers_only boolean not null,               -- DSN RET=HDRS
  cell text not null,
  enqueued_at timestamptz not null default now(),
  finished_at timestamptz
) with (toast_tuple_target = 8160);
alter table messages alter octets set storage external;
create index messages_finished on messages (finished_at) where finished_at is not null;

-- state: 1 held, 2 due, 3 sending, 4 done, 5 failed (ItemState of the contract).
create table items (
  id bigint generated always as identity primary key,
  delivery_id uuid not null references messages on delete cascade,
  ordinal int not null,
  uuid uuid not null default gen_random_uuid(),  -- the delivery id towards the store
  recipient text not null,
  domain text collate "C" not null,            -- A-labels: what items are grouped by
  notify text not null,
  original_recipient text not null,
  state smallint not null,
  attempts int not null default 0,
  due_at timestamptz not null default now(),
  expires_at timestamptz not null,
  lease_number bigint not null default 0,      -- fencing: who writes a result names the number he leased with
  leased_until timestamptz,
  returned boolean not null default false,     -- an operator wants it returned to its sender
  last_error text not null default '',
  last_host text not null default '',
  unique (delivery_id, ordinal)
) with (fillfactor = 70);
create index items_due on items (due_at) where state = 2;
create index items_leased on items (leased_until) where state = 3;
create index items_held on items (delivery_id) where state = 1;
