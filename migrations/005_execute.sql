-- oldest-program: 0.1.0
--
-- Postgres lets everybody execute a new function, and whoever may execute a trigger function may hang it on a table of
-- their own. So a role without any right on our tables could make one with a column `id`, let cape_deleted or
-- cape_truncated run on it as the tables' owner, and empty our leases and history. Firing asks for no right: the tables'
-- own triggers go on for everybody.

set local lock_timeout = '10s';

do $execute$
declare
  ours regprocedure;
begin
  for ours in
    select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = current_schema()
       and p.proname in ('cape_wake', 'cape_fill_gaps', 'cape_end_lease', 'cape_by_hand', 'cape_started_by_hand',
                         'cape_deleted', 'cape_truncated', 'cape_assigned_to', 'cape_assigned_worker')
  loop
    execute format('revoke execute on function %s from public', ours);
  end loop;
end
$execute$;
