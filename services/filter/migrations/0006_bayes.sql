-- What was learnt as spam and as good mail ("ham"), by model: that of one account, or with account_id 0 that of all.
create table bayes_models (
  account_id bigint primary key,
  spam bigint not null default 0,              -- messages
  ham bigint not null default 0,
  tokens bigint not null default 0,            -- rows in bayes_tokens
  tidied_on date not null default current_date
);
create index bayes_models_tidied on bayes_models (tidied_on);

create table bayes_tokens (
  account_id bigint not null,
  token bigint not null,                       -- a hash
  spam int not null,                           -- messages with it
  ham int not null,
  learnt_on date not null,                     -- the last time
  primary key (account_id, token)
);
create index bayes_tokens_learnt on bayes_tokens (account_id, learnt_on);

-- Which messages were learnt as what, so that each counts once and can be taken back.
create table bayes_learnt (
  account_id bigint not null,
  digest bytea not null,                       -- of the message's tokens and Message-ID
  tokenizer int not null,                      -- which made them
  spam boolean not null,
  learnt_on date not null default current_date,
  primary key (account_id, digest)
);
create index bayes_learnt_on on bayes_learnt (account_id, learnt_on);

-- Learns a message as spam (p_spam), as ham (not p_spam), or takes back what was learnt of it (null). What was learnt
-- before is taken back first. From p_most tokens on the model takes no new ones. Answers 0 when it changed nothing,
-- 1 when the message was not known, 2 when it had been learnt as the other, 3 when it was taken back.
create function learn_bayes(p_account bigint, p_digest bytea, p_tokenizer int, p_spam boolean, p_tokens bigint[], p_most bigint)
returns int language plpgsql as $$
declare
  v_tokens bigint; v_before boolean; v_tokenizer int; v_known boolean;
  v_spam int := 0; v_ham int := 0;             -- changes
  v_token_spam int; v_token_ham int; v_fresh bigint := 0; v_gone bigint := 0;
begin
  if exists (select from accounts where account_id = p_account and purged_at is not null) then
    raise exception 'the account was deleted' using errcode = 'MP005';
  end if;
  insert into bayes_models (account_id) values (p_account) on conflict (account_id) do nothing;
  select tokens into v_tokens from bayes_models where account_id = p_account for update;
  select spam, tokenizer into v_before, v_tokenizer from bayes_learnt where account_id = p_account and digest = p_digest;
  v_known := found;
  if (v_known and v_before = p_spam) or (not v_known and p_spam is null) then return 0; end if;

  if p_spam then v_spam := 1; elsif not p_spam then v_ham := 1; end if;
  v_token_spam := v_spam;
  v_token_ham := v_ham;
  if v_known and v_before then v_spam := v_spam - 1; elsif v_known then v_ham := v_ham - 1; end if;
  -- Tokens that another tokenizer made cannot be named any more: they are forgotten in time.
  if not v_known or v_tokenizer = p_tokenizer then
    v_token_spam := v_spam;
    v_token_ham := v_ham;
  end if;

  if p_spam is null or v_tokens >= p_most then
    update bayes_tokens t set spam = greatest(t.spam + v_token_spam, 0), ham = greatest(t.ham + v_token_ham, 0)
    where t.account_id = p_account and t.token = any (p_tokens);
  else
    with learnt as (
      insert into bayes_tokens as t (account_id, token, spam, ham, learnt_on)
      select p_account, token, greatest(v_token_spam, 0), greatest(v_token_ham, 0), current_date
      from (select distinct token from unnest(p_tokens) x (token)) each_token
      on conflict (account_id, token) do update
        set spam = greatest(t.spam + v_token_spam, 0), ham = greatest(t.ham + v_token_ham, 0), learnt_on = current_date
      returning xmax = 0 as fresh)
    select count(*) filter (where fresh) into v_fresh from learnt;
  end if;
  if v_known then
    delete from bayes_tokens t where t.account_id = p_account and t.token = any (p_tokens) and t.spam = 0 and t.ham = 0;
    get diagnostics v_gone = row_count;
  end if;
  update bayes_models set spam = greatest(spam + v_spam, 0), ham = greatest(ham + v_ham, 0), tokens = tokens + v_fresh - v_gone
  where account_id = p_account;
  if p_spam is null then
    delete from bayes_learnt where account_id = p_account and digest = p_digest;
    return 3;
  end if;
  insert into bayes_learnt (account_id, digest, tokenizer, spam) values (p_account, p_digest, p_tokenizer, p_spam)
  on conflict (account_id, digest) do update
    set tokenizer = excluded.tokenizer, spam = excluded.spam, learnt_on = excluded.learnt_on;
  return case when v_known then 2 else 1 end;
end $$;

-- Tidies one model that was not tidied today, some rows at a time: away with what was not learnt again for p_days, with the
-- oldest tokens of a model that is full (a twentieth, so that it can learn), and with the oldest of more than p_learnt
-- messages. 0 when there is none left to tidy.
create function tidy_bayes(p_days int, p_most bigint, p_most_of_all bigint, p_learnt bigint) returns bigint language plpgsql as $$
declare
  c_some constant bigint := 5000;
  m bayes_models; v_most bigint; v_old bigint; v_excess bigint; v_messages bigint; v_step bigint;
begin
  select * into m from bayes_models where tidied_on < current_date order by tidied_on limit 1 for update skip locked;
  if not found then return 0; end if;
  v_most := case when m.account_id = 0 then p_most_of_all else p_most end;
  delete from bayes_tokens where ctid = any (array(
    select ctid from bayes_tokens where account_id = m.account_id and learnt_on < current_date - p_days limit c_some));
  get diagnostics v_old = row_count;
  v_step := least(greatest(m.tokens - v_old - v_most * 19 / 20, 0), c_some);
  delete from bayes_tokens where ctid = any (array(
    select ctid from bayes_tokens where account_id = m.account_id order by learnt_on limit v_step));
  get diagnostics v_excess = row_count;
  delete from bayes_learnt where ctid = any (array(
    select ctid from bayes_learnt where account_id = m.account_id and learnt_on < current_date - p_days limit c_some));
  get diagnostics v_messages = row_count;
  delete from bayes_learnt where ctid = any (array(
    select ctid from bayes_learnt where account_id = m.account_id order by learnt_on desc offset p_learnt limit c_some));
  get diagnostics v_step = row_count;
  update bayes_models set tokens = greatest(tokens - v_old - v_excess, 0),
    tidied_on = case when greatest(v_old, v_excess, v_messages, v_step) < c_some then current_date else tidied_on end
  where account_id = m.account_id;
  return 1 + v_old + v_excess + v_messages + v_step;
end $$;

create function purge_bayes(p_account bigint) returns void language plpgsql as $$
begin
  delete from bayes_models where account_id = p_account;
  delete from bayes_tokens where account_id = p_account;
  delete from bayes_learnt where account_id = p_account;
end $$;
