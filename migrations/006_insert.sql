-- oldest-program: 0.1.0
--
-- What an INSERT of one row, a claim and a settlement pay for our triggers, and when autovacuum looks at our tables.
--
-- Postgres reads and plans a trigger's WHEN anew in every statement: 8 to 10 us for each of 003. An INSERT of one row
-- inside the server, which takes 47 us without triggers:
--   those of 003                            72 to 76
--   its two BEFORE row triggers with WHEN   62
--   one, its WHEN the sum of both           62 to 64
--   one function without WHEN               52   hence this; it costs an INSERT of many rows about 2 us a row
--   and cape_wake, all names in full        64   with `set search_path` every call rebuilds what is known of that path
-- A sequence as the mark of waiting workers, read without a query, would save another 9 us; but it is seen before its
-- writer commits and can't be taken back by one worker without a lock that all have to wait for.
--
-- A settlement with a claim, two UPDATEs with four WHENs each, takes 120 us of 1,290 less by the two short ones below.

set local lock_timeout = '10s';

-- SECURITY DEFINER without `set search_path`: so every name, operators too, says where it is (IN has one, unseen).
do $functions$
begin
  execute replace($definition$
    create or replace function cape_wake() returns trigger language plpgsql security definer as $body$
    begin
      if exists (select from cape.cape_workers where waiting_until operator(pg_catalog.>) pg_catalog.clock_timestamp())
        -- Our snapshot may be older than a worker's mark.
        or pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
        perform pg_catalog.pg_notify('cape_issues', '');
      end if;
      return null;
    end $body$
  $definition$, 'cape.', quote_ident(current_schema()) || '.');

  -- Explicit NULLs get the defaults, and 'started' by another program a lease.
  execute replace($definition$
    create function cape_new_issue() returns trigger language plpgsql security definer as $body$
    begin
      if new.status operator(pg_catalog.=) 'pending' and new.priority is not null and new.created_at is not null
        and new.updated_at is not null then
        return new;
      end if;
      new.status := coalesce(new.status, 'pending');
      new.priority := coalesce(new.priority, 0);
      new.created_at := coalesce(new.created_at, pg_catalog.now());
      new.updated_at := coalesce(new.updated_at, pg_catalog.now());
      if new.status operator(pg_catalog.=) 'started' and not new.leased then
        new.started_at := coalesce(new.started_at, pg_catalog.now());
        new.attempt := new.attempt operator(pg_catalog.+) 1;
        new.leased := true;
        insert into cape.cape_leases (issue_id, attempt, token, worker_id, started_at, lease_until)
        values (new.id, new.attempt, pg_catalog.gen_random_uuid(), coalesce(new.assigned_worker_id, 'unknown'),
                new.started_at, new.started_at operator(pg_catalog.+) interval '1 hour');
      end if;
      return new;
    end $body$
  $definition$, 'cape.', quote_ident(current_schema()) || '.');

  -- The same for an UPDATE, and a status written by somebody else is made consistent: what cape_fill_gaps, cape_by_hand
  -- and cape_started_by_hand of 003 did, in their order.
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
        insert into cape.cape_leases (issue_id, attempt, token, worker_id, started_at, lease_until)
        values (new.id, new.attempt, pg_catalog.gen_random_uuid(), coalesce(new.assigned_worker_id, 'unknown'),
                new.started_at, new.started_at operator(pg_catalog.+) interval '1 hour');
      end if;
      return new;
    end $body$
  $definition$, 'cape.', quote_ident(current_schema()) || '.');

  -- Behind a WHEN that lets more through than is to be notified.
  execute replace($definition$
    create function cape_wake_again() returns trigger language plpgsql security definer as $body$
    begin
      if new.status operator(pg_catalog.=) 'pending'
        and (old.status operator(pg_catalog.<>) 'pending' or old.run_at is not null or old.leased
             or coalesce(old.assigned_worker_id operator(pg_catalog.<>) new.assigned_worker_id,
                         (old.assigned_worker_id is null) operator(pg_catalog.<>) (new.assigned_worker_id is null)))
        and (exists (select from cape.cape_workers where waiting_until operator(pg_catalog.>) pg_catalog.clock_timestamp())
             or pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed') then
        perform pg_catalog.pg_notify('cape_issues', '');
      end if;
      return null;
    end $body$
  $definition$, 'cape.', quote_ident(current_schema()) || '.');
end
$functions$;
revoke execute on function cape_new_issue() from public;
revoke execute on function cape_wake_again() from public;

drop trigger cape_a_fill_gaps on cape_issues;
drop trigger cape_by_hand on cape_issues;
drop trigger cape_started_by_hand on cape_issues;
drop trigger cape_wake_on_update on cape_issues;
drop function cape_fill_gaps();
drop function cape_started_by_hand();

-- `truncate cape_issues, cape_attempts`: ours is refused while that statement is not over. It has emptied the table, or
-- somebody's cursor is open on it.
create or replace function cape_truncated() returns trigger
language plpgsql security definer set search_path from current as $$
begin
  begin
    truncate cape_attempts;
  exception when object_in_use then
    delete from cape_attempts;
  end;
  delete from cape_leases;
  perform pg_notify('cape_issues', 'cancel');
  return null;
end $$;

create trigger cape_a_new_issue before insert on cape_issues
  for each row execute function cape_new_issue();

-- Our claims and settlements turn `leased` over and leave the times as they should be: that is told from booleans and
-- NULLs alone, whose WHEN is read in a fraction of the time. A call for each row would cost a batch more than it saves.
create trigger cape_a_by_hand before update on cape_issues
  for each row when (
    new.leased = old.leased or (new.completed_at is null and new.leased = (new.started_at is null)))
  execute function cape_by_hand();
create trigger cape_wake_on_update after update of status, run_at, leased, assigned_worker_id on cape_issues
  for each row when (not new.leased and new.run_at is null and new.completed_at is null)
  execute function cape_wake_again();

-- Storage of our tables, with what 002 says of it:
--   cape_issues    fillfactor 100: claim and settle change columns of the partial indexes' predicates, so no update of
--                  theirs is ever HOT, and room left in the page serves nobody. Vacuumed after 5,000 + 2 % and without
--                  pauses: dead entries at the head of the claim's index are what a claim from the head walks over.
--   cape_leases    fillfactor 50 and no index on what a renewal writes: all renewals are HOT. Vacuumed by number, since
--                  its size says nothing: some rows at rest, and as many dead ones as issues have run.
--   cape_workers   fillfactor 10: a heartbeat every 15 s for each row is HOT for hours. Vacuumed by number as well.
--   cape_attempts  written once and never changed, hence full pages; what autovacuum is to do is to freeze, and by default
--                  it begins when a fifth is new: with millions of rows one long pass instead of many short ones.
alter table cape_attempts set (
  autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 50000);
