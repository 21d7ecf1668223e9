-- oldest-program: 0.1.0
--
-- What was asked for with an Idempotency-Key, and what was answered: a program that lost the answer asks again and gets
-- it once more, instead of having its issues queued twice. Written in the same transaction as the issues, kept for a day.

set local lock_timeout = '10s';

create table cape_requests (
  key text primary key,
  -- Of the body: the same key with another one is a mistake of the client.
  digest text not null,
  ids int[] not null default '{}',
  at timestamptz not null default now()
);

create index cape_requests_at on cape_requests (at);
