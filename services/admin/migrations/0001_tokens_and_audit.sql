create table tokens (
  token_id     bigint generated always as identity primary key,
  name         text not null unique,
  role         smallint not null,              -- merpati.admin.v1.Role
  domain       text not null default '',       -- of a domain admin
  hash         bytea not null unique,          -- SHA-256 of the secret, which is random and long
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  last_used_at timestamptz
);

create table audit (
  audit_id   bigint generated always as identity primary key,
  at         timestamptz not null default now(),
  token_name text not null,
  peer       text not null,
  method     text not null,
  target     text not null,
  outcome    text not null default 'STARTED'
);
