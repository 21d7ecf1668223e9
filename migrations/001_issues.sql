-- oldest-program: 0.1.0
--
-- How an issue moves. Every arrow is one statement of the program; a person may set any status by hand (see 003).
--
--        INSERT                    retry (a person), fresh counts
--          |          +----------------------------------------------------------+
--          v          v                                                          |
--     +-------------------+   claim    +-----------+   settle: exit 0      +-----------+
--     |      pending      | ---------> |  started  | --------------------> | completed |
--     |                   |            |  (leased) |                       +-----------+
--     | run_at null:      |            |           |   settle: refused     +-----------+
--     |   claimable       | <--------- |           |   for good, or tries  |  failed   |
--     | run_at set:       |  settle:   |           |   or crashes used up  |           |
--     |   parked till     |  retry,    |           | --------------------> +-----------+
--     |   then, promoted  |  release;  |           |
--     |   by a tick       |  rescue    |           |   settle, release or  +-----------+
--     |                   |            |           |   rescue, if marked   | cancelled |
--     |                   |            |           | --------------------> |           |
--     +-------------------+            +-----------+                       +-----------+
--               |                 cancel while pending                           ^
--               +----------------------------------------------------------------+
--
-- This file makes the table that other programs insert into and read, or adopts the one that exists. It widens types and
-- constraints and adds; it never drops a column, deletes a row or changes what a row means.
--
-- Old TIMESTAMP columns hold wall-clock times without a zone. They are read in the TimeZone of this session, which is
-- the server's (or the database's, or the role's) own: `CURRENT_TIMESTAMP` wrote them in it. Where the programs wrote
-- UTC while the server lives elsewhere: `ALTER ROLE <the migrating role> SET timezone = 'UTC'` before this runs.

-- A forgotten transaction on the table must fail the migration with a clear error, not queue every other client behind it.
set local lock_timeout = '10s';

create table if not exists cape_issues (
  id serial primary key,
  description text not null,
  status varchar(20) not null default 'pending',
  assigned_worker_id varchar(100),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  started_at timestamptz,
  completed_at timestamptz
);

-- Columns that an older table lacks. Without defaults: its rows get their values further down, not the time of this run.
alter table cape_issues
  add column if not exists status varchar(20),
  add column if not exists assigned_worker_id varchar(100),
  add column if not exists created_at timestamptz,
  add column if not exists updated_at timestamptz,
  add column if not exists started_at timestamptz,
  add column if not exists completed_at timestamptz;

-- Changes column types to ours where they are narrower. A column that a view, a trigger or an index expression depends on
-- refuses that, so these are put aside and put back as they were, in the same transaction.
do $adopt$
declare
  issues constant regclass := 'cape_issues'::regclass;
  alterations text := '';
  changed int[] := '{}';
  enums text[] := '{}';
  putting_back text[] := '{}';
  definition text;
  enum_name text;
  one record;
  view record;
begin
  -- 1. The id: leases and history refer to it as an integer.
  if not exists (select from pg_attribute where attrelid = issues and attname = 'id' and atttypid = 'int'::regtype) then
    raise exception 'cape_issues can''t be adopted: its column id must be an integer';
  end if;
  if not exists (
    select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
     where i.indrelid = issues and i.indisunique and i.indnkeyatts = 1 and i.indpred is null and a.attname = 'id'
  ) then
    alter table cape_issues add primary key (id);
  end if;
  if exists (
    select from pg_attribute where attrelid = issues and attname = 'id' and not atthasdef and attidentity = ''
  ) then
    create sequence cape_issues_id_seq as int owned by cape_issues.id;
    perform setval('cape_issues_id_seq', coalesce(max(id), 0) + 1, false) from cape_issues;
    alter table cape_issues alter column id set default nextval('cape_issues_id_seq');
  end if;

  -- 2. Which columns have to change. A type as wide as ours or wider stays as it is.
  for one in
    select a.attnum, a.attname, a.atttypid, t.typtype, t.typcategory, w.kind, w.type,
           format_type(a.atttypid, a.atttypmod) as has,
           case w.kind
             when 'time' then t.typname = 'timestamptz'
             else t.typname = 'text' or t.typname = 'varchar' and (a.atttypmod = -1 or a.atttypmod - 4 >= w.length)
           end as fits
      from (values ('description', 'text', 'text', 2147483647),
                   ('status', 'text', 'varchar(20)', 20),
                   ('assigned_worker_id', 'text', 'varchar(100)', 100),
                   ('created_at', 'time', 'timestamptz', 0),
                   ('updated_at', 'time', 'timestamptz', 0),
                   ('started_at', 'time', 'timestamptz', 0),
                   ('completed_at', 'time', 'timestamptz', 0)) as w(name, kind, type, length)
      join pg_attribute a on a.attrelid = issues and a.attname = w.name
      join pg_type t on t.oid = a.atttypid
  loop
    if one.fits then continue; end if;
    if not (case one.kind
              when 'time' then one.has like 'timestamp%'
              else one.typcategory = 'S' or one.typtype = 'e' or one.atttypid = 'uuid'::regtype
            end) then
      raise exception 'cape_issues can''t be adopted: its column % is %, which can''t become %',
        one.attname, one.has, one.type;
    end if;
    changed := changed || one.attnum::int;
    if one.typtype = 'e' then enums := enums || one.has; end if;
    -- No USING for times: with a server in UTC the plain cast spares the rewrite of the table.
    alterations := alterations || format(', alter column %1$I drop default, alter column %1$I type %2$s', one.attname, one.type)
      || case one.kind when 'text' then format(' using %I::text', one.attname) else '' end;
  end loop;
  if alterations = '' then return; end if;

  -- 3. Views on those columns, and views on these views: the outermost goes first and comes back last.
  for view in
    with recursive dependent(oid, depth) as (
      select r.ev_class, 1
        from pg_depend d join pg_rewrite r on r.oid = d.objid
       where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
         and d.refobjid = issues and d.refobjsubid = any(changed)
      union
      select r.ev_class, dependent.depth + 1
        from dependent
        join pg_depend d on d.refobjid = dependent.oid and d.refclassid = 'pg_class'::regclass
         and d.classid = 'pg_rewrite'::regclass
        join pg_rewrite r on r.oid = d.objid and r.ev_class <> dependent.oid
    )
    select c.oid::regclass as name, c.oid, c.relkind, c.reloptions, c.relacl, c.relowner,
           case c.relkind when 'm' then 'materialized view' else 'view' end as what, max(depth) as depth
      from dependent join pg_class c on c.oid = dependent.oid
     group by c.oid, c.relkind, c.reloptions, c.relacl, c.relowner
     order by depth desc, c.oid desc
  loop
    if exists (select from pg_trigger where tgrelid = view.oid)
      or exists (select from pg_rewrite where ev_class = view.oid and rulename <> '_RETURN')
      or exists (select from pg_attribute where attrelid = view.oid and attacl is not null) then
      raise exception 'cape_issues can''t be adopted while the view % with triggers, rules or column grants depends on it: '
        'drop the view, migrate, create it again', view.name;
    end if;
    definition := format('create %s %s %s as %s', view.what, view.name,
      coalesce('with (' || array_to_string(view.reloptions, ', ') || ')', ''), pg_get_viewdef(view.oid));
    -- Grants and the rest in one string, each name written out: they are gone once the view is dropped.
    select string_agg(command, ';' order by place) into definition from (
      select 1 as place, rtrim(definition, ';') as command
      union all select 2, pg_get_indexdef(indexrelid) from pg_index where indrelid = view.oid
      union all select 3, format('alter %s %s owner to %I', view.what, view.name, pg_get_userbyid(view.relowner))
                 where view.relowner <> current_user::regrole
      union all select 4, format('comment on %s %s is %L', view.what, view.name, obj_description(view.oid, 'pg_class'))
                 where obj_description(view.oid, 'pg_class') is not null
      union all select 5, format('grant %s on %s to %s%s', privilege_type, view.name,
                          case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
                          case when is_grantable then ' with grant option' else '' end)
                  from aclexplode(view.relacl) where grantee <> view.relowner
    ) as commands;
    putting_back := definition || putting_back;
    execute format('drop %s %s', view.what, view.name);
  end loop;

  -- 4. Triggers and indexes. An index on a plain column is rebuilt by Postgres itself; one with an enum's value in its
  --    predicate is not.
  for one in
    select distinct t.oid, t.tgname as name, pg_get_triggerdef(t.oid) as command
      from pg_trigger t join pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = t.oid
     where t.tgrelid = issues and not t.tgisinternal and d.refobjid = issues and d.refobjsubid = any(changed)
  loop
    putting_back := putting_back || one.command;
    execute format('drop trigger %I on cape_issues', one.name);
  end loop;
  for one in
    select i.indexrelid::regclass as name, pg_get_indexdef(i.indexrelid) as command
      from pg_index i
     where i.indrelid = issues and (i.indpred is not null or i.indexprs is not null) and enums <> '{}'
       and not exists (select from pg_constraint where conindid = i.indexrelid)
  loop
    putting_back := putting_back || one.command;
    execute format('drop index %s', one.name);
  end loop;

  -- 5. The change itself. What still stands in the way (a policy, a generated column) is named by Postgres.
  begin
    execute 'alter table cape_issues ' || substr(alterations, 3);
    foreach definition in array putting_back loop
      -- Definitions spell an enum's values as 'pending'::its_type, which no longer compares with the column.
      foreach enum_name in array enums loop
        definition := replace(definition, '::' || enum_name, '::text');
      end loop;
      execute definition;
    end loop;
  exception when others then
    raise exception 'cape_issues can''t be adopted: %', sqlerrm
      using hint = 'Drop what depends on its columns, migrate, and create it again.';
  end;
end
$adopt$;

-- An older program's CHECK knows three statuses. Whatever its name, it goes, and one with all five comes. NOT VALID: rows
-- with a status of somebody's own stay as they are (nobody claims them) and must not stop the migration.
do $status$
declare
  old name;
begin
  for old in
    select c.conname from pg_constraint c
      join pg_attribute a on a.attrelid = c.conrelid and a.attname = 'status' and c.conkey = array[a.attnum]
     where c.conrelid = 'cape_issues'::regclass and c.contype = 'c'
  loop
    execute format('alter table cape_issues drop constraint %I', old);
  end loop;
end
$status$;

-- Values that other programs left out. An end without a time gets the time of the last change.
update cape_issues set created_at = coalesce(updated_at, started_at, completed_at, now()) where created_at is null;
update cape_issues set updated_at = coalesce(completed_at, started_at, created_at) where updated_at is null;
update cape_issues set completed_at = updated_at
 where status in ('completed', 'failed', 'cancelled') and completed_at is null;
update cape_issues set description = '' where description is null;

alter table cape_issues
  alter column description set not null,
  alter column status set default 'pending',
  alter column created_at set default now(),
  alter column created_at set not null,
  alter column updated_at set default now(),
  alter column updated_at set not null,
  add constraint cape_issues_status_check
    check (status is not null and status in ('pending', 'started', 'completed', 'failed', 'cancelled')) not valid;

-- `insert into cape_issues (description)` has to work for a client with INSERT on this table and nothing else, but the
-- default of a serial column asks for the sequence as well. USAGE lets nobody set it back.
do $sequence$
begin
  if pg_get_serial_sequence('cape_issues', 'id') is not null then
    execute 'grant usage on sequence ' || pg_get_serial_sequence('cape_issues', 'id') || ' to public';
  end if;
end
$sequence$;
