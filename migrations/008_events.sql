-- oldest-program: 0.1.0
--
-- What happened to an issue, told in the same transaction that did it.
--
-- `seq` counts an issue's own events. While the issue is leased the number is taken from its lease under that row's lock,
-- else from the issue under its row's lock; a claim copies it into the lease, what ends an attempt copies it back. So
-- the numbers of one issue grow in the order of commits, and whoever has read up to n asks for `seq > n` and misses nothing.
-- Over all issues no number of ours would do: a slow transaction commits a lower one later. There the order is
-- (xid, issue_id, seq), read up to the oldest transaction that is still running.
--
-- An older program writes no events, starts its leases with 0 and does not copy back: so a count of 0 in a lease, and the
-- count of an issue that has been attempted before, are not trusted, and the greatest `seq` is looked up.
--
-- A row costs the server 2.25 us in a statement of 250, 0.75 of them by the second index; 140 bytes of table and indexes,
-- 280 of WAL. In all, claim and settlement of an issue that ended well took 38.6 us instead of 27.3 in such batches, and
-- one by one 3 to 5 % more. `data` made for each of those that end well takes 2 us more and doubles the row: hence its null.
-- An index on xid alone cost the same, and a transaction with a million events would be sorted anew for each page of them.

set local lock_timeout = '10s';

create table cape_events (
  xid xid8 not null default pg_current_xact_id(),
  at timestamptz not null default now(),
  issue_id int not null,
  seq int not null,
  attempt int,
  kind text not null,
  worker_id text,
  -- Null stands for what is usual: {} for most kinds; of `completed` that it succeeded, without an exit code.
  data jsonb,
  primary key (issue_id, seq)
);

alter table cape_issues add column if not exists events int not null default 0;
alter table cape_leases add column if not exists events int not null default 0;

-- Processes that want to hear of events, each marked for some seconds.
create table cape_readers (
  id uuid primary key,
  until timestamptz not null
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

do $functions$
declare
  here text := quote_ident(current_schema()) || '.';
begin
  -- As cape_wake: a NOTIFY takes a lock on the whole server until commit.
  execute replace($definition$
    create function cape_events_told() returns trigger language plpgsql security definer as $body$
    begin
      if exists (select from cape.cape_readers where until operator(pg_catalog.>) pg_catalog.clock_timestamp())
        or pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
        perform pg_catalog.pg_notify('cape_events', '');
      end if;
      return null;
    end $body$
  $definition$, 'cape.', here);

  -- Tells an event of an issue whose row the caller has locked, and gives its number. The lease is locked before its count
  -- is read: its holder may be telling output.
  execute replace($definition$
    create function cape_tell(issue int, counted int, run int, what text, facts pg_catalog.jsonb) returns int
    language plpgsql security definer as $body$
    declare
      number int;
    begin
      perform from cape.cape_leases where issue_id operator(pg_catalog.=) issue for no key update;
      select greatest(counted,
                      (select events from cape.cape_leases where issue_id operator(pg_catalog.=) issue),
                      (select pg_catalog.max(seq) from cape.cape_events where issue_id operator(pg_catalog.=) issue))
             operator(pg_catalog.+) 1
        into number;
      update cape.cape_leases set events = number where issue_id operator(pg_catalog.=) issue;
      insert into cape.cape_events (issue_id, seq, attempt, kind, data) values (issue, number, run, what, facts);
      return number;
    end $body$
  $definition$, 'cape.', here);

  -- 006, and what was done by hand is told. Statements of ours that change a status count an event of their own with it.
  execute replace($definition$
    create or replace function cape_by_hand() returns trigger language plpgsql security definer as $body$
    begin
      if new.status operator(pg_catalog.=) old.status and new.priority is not null and new.created_at is not null
        and new.updated_at is not null then
        return new;
      end if;
      new.status := coalesce(new.status, 'pending');
      new.priority := coalesce(new.priority, 0);
      new.created_at := coalesce(new.created_at, pg_catalog.now());
      new.updated_at := coalesce(new.updated_at, pg_catalog.now());
      if new.status operator(pg_catalog.=) old.status then
        return new;
      end if;
      if new.events operator(pg_catalog.=) old.events then
        new.events := cape.cape_tell(
          old.id, old.events, case when old.leased then old.attempt end, 'by_hand',
          pg_catalog.jsonb_build_object('from', old.status, 'to', new.status));
      end if;
      if (old.leased and new.leased and new.status operator(pg_catalog.<>) 'started')
        or (new.status operator(pg_catalog.=) 'pending' and (new.started_at is not null or new.completed_at is not null))
        or (new.status operator(pg_catalog.=) any ('{completed,failed,cancelled}'::pg_catalog.text[])
            and new.completed_at is null) then
        new.updated_at := pg_catalog.now();
        if new.status operator(pg_catalog.=) 'pending' then
          new.started_at := null;
          new.completed_at := null;
          -- The runner's name leaves the row unless the same statement wrote a new one.
          if new.assigned_worker_id operator(pg_catalog.=) old.assigned_worker_id
            or (new.assigned_worker_id is null and old.assigned_worker_id is null) then
            new.assigned_worker_id := old.target_worker_id;
          end if;
        elsif new.status operator(pg_catalog.<>) 'started' then
          new.completed_at := coalesce(new.completed_at, pg_catalog.now());
        end if;
        perform cape.cape_end_lease(old.id, pg_catalog.format('set to %s by hand', new.status));
        -- Whatever the status, not claimable until that attempt has ended. Looked up, not taken from the row: with a
        -- wrong `leased` in it every claim of the row would fail on the lease's key.
        new.leased := exists (select from cape.cape_leases where issue_id operator(pg_catalog.=) old.id);
      end if;
      if new.status operator(pg_catalog.=) 'started' and not new.leased then
        new.started_at := coalesce(new.started_at, pg_catalog.now());
        new.attempt := new.attempt operator(pg_catalog.+) 1;
        new.leased := true;
        insert into cape.cape_leases (issue_id, attempt, token, worker_id, started_at, lease_until, events)
        values (new.id, new.attempt, pg_catalog.gen_random_uuid(), coalesce(new.assigned_worker_id, 'unknown'),
                new.started_at, new.started_at operator(pg_catalog.+) interval '1 hour', new.events);
      end if;
      return new;
    end $body$
  $definition$, 'cape.', here);
end
$functions$;
revoke execute on function cape_events_told() from public;
revoke execute on function cape_tell(int, int, int, text, jsonb) from public;

create trigger cape_events_told after insert on cape_events
  for each statement execute function cape_events_told();

-- Leases first: whoever appends to the events of a running attempt holds its lease, and is waited for here.
create or replace function cape_deleted() returns trigger language plpgsql security definer set search_path from current as $$
begin
  delete from cape_leases where issue_id in (select id from gone);
  if found then perform pg_notify('cape_issues', 'cancel'); end if;
  delete from cape_attempts where issue_id in (select id from gone);
  delete from cape_events where issue_id in (select id from gone);
  return null;
end $$;

create or replace function cape_truncated() returns trigger
language plpgsql security definer set search_path from current as $$
begin
  delete from cape_leases;
  begin
    truncate cape_attempts;
  exception when object_in_use then
    delete from cape_attempts;
  end;
  begin
    truncate cape_events;
  exception when object_in_use then
    delete from cape_events;
  end;
  perform pg_notify('cape_issues', 'cancel');
  return null;
end $$;

-- Filled by far more inserts than deletions. What is vacuumed for is to freeze in many short passes, and to take dead
-- entries of pruned events out of the head of the index that pruning reads from.
alter table cape_events set (
  autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 50000,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

create index cape_events_order on cape_events (xid, issue_id, seq);
