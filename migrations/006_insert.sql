-- oldest-program: 0.1.0
--
-- What an INSERT of one row pays for our triggers, and when autovacuum looks at our tables.
--
-- Measured inside the server, where such an INSERT takes 40 us without triggers:
--   two BEFORE row triggers with WHEN   + 10   Postgres reads and plans a WHEN anew in every statement
--   one, its WHEN the sum of both       +  8
--   one function without WHEN           +  2   hence this; it costs an INSERT of many rows 2 us a row
--   cape_wake with `set search_path`    + 12   every call throws away and rebuilds what is known of the search path
--   cape_wake with all names in full    +  9
-- A sequence as the mark of waiting workers, read without a query, would save another 5 us; but it is seen before its
-- writer commits and can't be taken back by one worker without a lock that all have to wait for.

set local lock_timeout = '10s';

-- SECURITY DEFINER without `set search_path`: so every name, operators too, says where it is.
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

  -- Explicit NULLs get the defaults, and 'started' by another program a lease: as cape_fill_gaps and cape_started_by_hand,
  -- which go on doing it for an UPDATE.
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
end
$functions$;
revoke execute on function cape_new_issue() from public;

drop trigger cape_a_fill_gaps on cape_issues;
drop trigger cape_started_by_hand on cape_issues;

create trigger cape_a_new_issue before insert on cape_issues
  for each row execute function cape_new_issue();
create trigger cape_a_fill_gaps before update on cape_issues
  for each row when (new.status is null or new.priority is null or new.created_at is null or new.updated_at is null)
  execute function cape_fill_gaps();
create trigger cape_started_by_hand before update of status on cape_issues
  for each row when (new.status = 'started' and not new.leased)
  execute function cape_started_by_hand();

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
