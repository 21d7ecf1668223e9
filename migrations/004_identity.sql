-- oldest-program: 0.1.0
--
-- A name for this queue that dump and restore keep: the first part of every idempotency key, so that issue 7 of one
-- database is never taken for issue 7 of another by whatever the commands talk to.

set local lock_timeout = '10s';

create table cape_identity (
  only_row boolean primary key default true check (only_row),
  id uuid not null default gen_random_uuid()
);
insert into cape_identity default values;
