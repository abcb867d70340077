-- Names are looked up in normalization form C (RFC 9051 5.1). What is stored otherwise gets that form; where it is taken, the
-- id makes the difference.
update mailboxes m set name = normalize(m.name, nfc) || case when exists (
    select 1 from mailboxes o where o.account_id = m.account_id and o.id <> m.id and normalize(o.name, nfc) = normalize(m.name, nfc))
  then '~' || m.id else '' end
where m.name is not nfc normalized;
insert into subscriptions select account_id, normalize(name, nfc) from subscriptions where name is not nfc normalized
on conflict do nothing;
delete from subscriptions where name is not nfc normalized;
