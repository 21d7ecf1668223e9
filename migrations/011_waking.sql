-- oldest-program: 0.1.0
--
-- Whether an insert is to notify, told without a query, and by one trigger instead of two.
--
-- The mark of a waiting worker is in its row of cape_workers, as before. Beside it two numbers say whether anybody has
-- to look there: `cape_marks` counts the marks that were set, `cape_marks_over` is the count up to which none was left
-- when somebody looked. Where they are equal nobody waits. An inserter that finds them unequal looks at the rows, and
-- either notifies or, where no row waits any more, brings the second number up to what it read of the first.
--
-- They are sequences: plpgsql reads one as part of an expression, without a snapshot and an executor. So they are seen
-- before their writer commits, whatever the reader's snapshot, and stay where it rolls back. Why no mark is lost:
--   nextval never gives a number twice, so that whoever looked before a mark was set leaves the numbers unequal
--   whoever read the number of that mark, or a later one, sees its row, or in pg_locks that its writer has not ended
--   an inserter has its transaction number before it reads; a worker that has marked itself waits for all older ones
-- One number and a clock, or one that is set back, need a lock that all workers share, or lose a mark that is set
-- between look and write. What an older program writes into its row counts as well.
--
-- 16 clients, each INSERT of one row a transaction; processor time of the server for one, and the rate of all:
--   no trigger                             118 us   1
--   006: a row trigger, and a query        143     0.84 to 0.87
--   this                                   131     0.92 to 0.93
--   a plpgsql trigger that does nothing    125     0.95 to 0.97
-- The functions are cold there: in one session that does nothing else it is 32, 42, 36 and 34. Not faster: the same as
-- a WHEN (0.92), one sequence instead of two, rights of the invoker. A row of an INSERT of many pays 0.5 us more.

set local lock_timeout = '10s';

create sequence cape_marks;
create sequence cape_marks_over minvalue 0 start 0;
-- Not equal: marks may have been set before there was a count of them.
select nextval('cape_marks'), nextval('cape_marks_over');

drop trigger cape_wake_on_insert on cape_issues;
drop trigger cape_wake_on_update on cape_issues;
drop trigger cape_a_new_issue on cape_issues;
-- Not replaced: a replaced function stays with its owner, who need not be who owns the sequences.
drop function cape_wake();
drop function cape_wake_again();
drop function cape_new_issue();

do $functions$
declare
  here text := quote_ident(current_schema()) || '.';
begin
  -- Numbers that a dump took at two moments could meet: an equal one is passed over.
  execute replace($definition$
    create function cape_marked() returns trigger language plpgsql security definer as $body$
    begin
      while pg_catalog.nextval($$cape.cape_marks$$) operator(pg_catalog.=)
            coalesce(pg_catalog.pg_sequence_last_value($$cape.cape_marks_over$$), -1) loop
      end loop;
      return null;
    end $body$
  $definition$, 'cape.', here);

  -- Notifies where somebody waits, and notes that in the transaction, which need not do so again: to look at the rows
  -- takes longer than to insert one of many. The triggers that call this ask for the note first.
  execute replace($definition$
    create function cape_wake_waiting() returns void language plpgsql as $body$
    declare
      -- Read before the rows, whose snapshots are taken later. Null after a restore of the schema alone.
      marks bigint := coalesce(pg_catalog.pg_sequence_last_value($$cape.cape_marks$$),
                               pg_catalog.nextval($$cape.cape_marks$$));
    begin
      if marks operator(pg_catalog.=) pg_catalog.pg_sequence_last_value($$cape.cape_marks_over$$) then
        return;
      end if;
      -- Our snapshot may be older than the mark.
      if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed'
        or exists (select from cape.cape_workers
                    where waiting_until operator(pg_catalog.>) pg_catalog.clock_timestamp()) then
        perform pg_catalog.pg_notify('cape_issues', '');
        perform pg_catalog.set_config('cape_worker.woken_by', pg_catalog.pg_current_xact_id()::pg_catalog.text, true);
        return;
      end if;
      -- A mark that is not committed may be among those counted, also one that this transaction has written.
      if exists (select from pg_catalog.pg_locks
                  where locktype operator(pg_catalog.=) 'relation' and mode operator(pg_catalog.=) 'RowExclusiveLock'
                    and relation operator(pg_catalog.=) $$cape.cape_workers$$::pg_catalog.regclass
                    and database operator(pg_catalog.=)
                        (select oid from pg_catalog.pg_database
                          where datname operator(pg_catalog.=) pg_catalog.current_database())) then
        return;
      end if;
      -- Asked anew: committed since the rows were read, and the lock gone.
      if not exists (select from cape.cape_workers
                      where waiting_until operator(pg_catalog.>) pg_catalog.clock_timestamp()) then
        perform pg_catalog.setval($$cape.cape_marks_over$$, marks);
      end if;
    end $body$
  $definition$, 'cape.', here);

  -- 006, and it wakes. What is usual has to pass with one expression: each costs a microsecond in every transaction.
  execute replace($definition$
    create function cape_new_issue() returns trigger language plpgsql security definer as $body$
    begin
      if new.status operator(pg_catalog.=) 'pending' and new.priority is not null and new.created_at is not null
        and new.updated_at is not null
        and pg_catalog.pg_current_xact_id() is not null -- before the marks are read: see above
        and pg_catalog.pg_sequence_last_value($$cape.cape_marks$$) operator(pg_catalog.=)
            pg_catalog.pg_sequence_last_value($$cape.cape_marks_over$$) then
        return new;
      end if;
      if new.status operator(pg_catalog.=) 'started' or new.status is null or new.priority is null
        or new.created_at is null or new.updated_at is null then
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
      end if;
      -- Not part of the expression above: rows of a batch that wakes would save 0.6 of 8.6 us, all single ones pay 0.5.
      if coalesce(pg_catalog.current_setting('cape_worker.woken_by', true), '') operator(pg_catalog.<>)
         pg_catalog.pg_current_xact_id()::pg_catalog.text then
        perform cape.cape_wake_waiting();
      end if;
      return new;
    end $body$
  $definition$, 'cape.', here);

  -- 006, with the marks asked in the same way. The transaction has its number: this runs after the row was written.
  execute replace($definition$
    create function cape_wake_again() returns trigger language plpgsql security definer as $body$
    begin
      if new.status operator(pg_catalog.=) 'pending'
        and (old.status operator(pg_catalog.<>) 'pending' or old.run_at is not null or old.leased
             or coalesce(old.assigned_worker_id operator(pg_catalog.<>) new.assigned_worker_id,
                         (old.assigned_worker_id is null) operator(pg_catalog.<>) (new.assigned_worker_id is null)))
        and coalesce(pg_catalog.current_setting('cape_worker.woken_by', true), '') operator(pg_catalog.<>)
            pg_catalog.pg_current_xact_id()::pg_catalog.text then
        perform cape.cape_wake_waiting();
      end if;
      return null;
    end $body$
  $definition$, 'cape.', here);
end
$functions$;
revoke execute on function cape_marked() from public;
revoke execute on function cape_wake_waiting() from public;
revoke execute on function cape_new_issue() from public;
revoke execute on function cape_wake_again() from public;

-- Renewals count too: what they mend is a mark that had run out.
create trigger cape_marked after insert or update of waiting_until on cape_workers
  for each row when (new.waiting_until is not null)
  execute function cape_marked();
create trigger cape_a_new_issue before insert on cape_issues
  for each row execute function cape_new_issue();
create trigger cape_wake_on_update after update of status, run_at, leased, assigned_worker_id on cape_issues
  for each row when (not new.leased and new.run_at is null and new.completed_at is null)
  execute function cape_wake_again();
