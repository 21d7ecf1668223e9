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
set local lock_timeout = '5s';

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

-- Helpers of this file, dropped at its end.

-- What can't be mended: without these it is another program's table.
create function cape_adopt_check() returns void language plpgsql set search_path from current as $$
declare
  needed name;
begin
  foreach needed in array array['id', 'description', 'status']::name[] loop
    if not exists (
      select from pg_attribute where attrelid = 'cape_issues'::regclass and attname = needed and not attisdropped
    ) then
      raise exception 'cape_issues can''t be adopted: it has no column %', needed;
    end if;
  end loop;
  if not exists (
    select from pg_attribute where attrelid = 'cape_issues'::regclass and attname = 'id' and atttypid = 'int'::regtype
  ) then
    raise exception 'cape_issues can''t be adopted: its column id must be an integer';
  end if;
end $$;

-- A primary key and growing ids, where an older table lacks them.
create function cape_adopt_id() returns void language plpgsql set search_path from current as $$
begin
  if not exists (select from pg_index where indrelid = 'cape_issues'::regclass and indisprimary) then
    alter table cape_issues add primary key (id);
  end if;
  if exists (
    select from pg_attribute
     where attrelid = 'cape_issues'::regclass and attname = 'id' and not atthasdef and attidentity = ''
  ) then
    create sequence cape_issues_id_seq as int owned by cape_issues.id;
    perform setval('cape_issues_id_seq', coalesce(max(id), 0) + 1, false) from cape_issues;
    alter table cape_issues alter column id set default nextval('cape_issues_id_seq');
  end if;
end $$;

-- The columns whose types have to change. One as wide as ours or wider stays as it is.
create function cape_adopt_columns() returns table (number int, name name, has text, wanted text, is_enum boolean)
language plpgsql set search_path from current as $$
begin
  for number, name, has, wanted, is_enum in
    select a.attnum::int, a.attname, format_type(a.atttypid, a.atttypmod), w.type, t.typtype = 'e'
      from (values ('description', 'text', 2147483647), ('status', 'varchar(20)', 20),
                   ('assigned_worker_id', 'varchar(100)', 100), ('created_at', 'timestamptz', 0),
                   ('updated_at', 'timestamptz', 0), ('started_at', 'timestamptz', 0),
                   ('completed_at', 'timestamptz', 0)) as w(name, type, length)
      join pg_attribute a on a.attrelid = 'cape_issues'::regclass and a.attname = w.name
      join pg_type t on t.oid = a.atttypid
     where case w.length when 0 then t.typname <> 'timestamptz'
             else not (t.typname = 'text' or t.typname = 'varchar' and (a.atttypmod = -1 or a.atttypmod - 4 >= w.length)) end
  loop
    if wanted = 'timestamptz' and has not like 'timestamp%'
      or wanted <> 'timestamptz' and not (is_enum or has like 'character%' or has = 'uuid') then
      raise exception 'cape_issues can''t be adopted: its column % is %, which can''t become %', name, has, wanted;
    end if;
    return next;
  end loop;
end $$;

-- All commands that make a view again: itself, indexes, owner, comment, grants.
create function cape_adopt_view(view regclass, what text) returns text
language sql set search_path from current as $$
  select string_agg(command, '; ' order by place) from (
    select 1 as place, format('create %s %s %s as %s', what, view, 'with (' || array_to_string(reloptions, ', ') || ')',
                              rtrim(pg_get_viewdef(view), ';')) as command from pg_class where oid = view
    union all select 2, pg_get_indexdef(indexrelid) from pg_index where indrelid = view
    union all select 3, format('alter %s %s owner to %I', what, view, pg_get_userbyid(relowner))
                from pg_class where oid = view and relowner <> current_user::regrole
    union all select 4, format('comment on %s %s is %L', what, view, obj_description(view, 'pg_class'))
               where obj_description(view, 'pg_class') is not null
    union all select 5, format('grant %s on %s to %s%s', privilege_type, view,
                               case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
                               case when is_grantable then ' with grant option' else '' end)
                from pg_class, aclexplode(relacl) where oid = view and grantee <> relowner
  ) as commands
$$;

-- Drops the views on the changed columns and the views on these, outermost first. Returns what makes them again, in order.
create function cape_adopt_views(changed int[]) returns text[] language plpgsql set search_path from current as $$
declare
  putting_back text[] := '{}';
  view record;
begin
  for view in
    with recursive uses(user_oid, used_oid, used_column) as (
      select r.ev_class, d.refobjid, d.refobjsubid from pg_depend d join pg_rewrite r on r.oid = d.objid
       where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class
    ), dependent(oid, depth) as (
      select user_oid, 1 from uses where used_oid = 'cape_issues'::regclass and used_column = any(changed)
      union
      select user_oid, depth + 1 from dependent join uses on used_oid = oid
    )
    select c.oid::regclass as name, case c.relkind when 'm' then 'materialized view' else 'view' end as what,
           exists (select from pg_trigger where tgrelid = c.oid)
             or exists (select from pg_rewrite where ev_class = c.oid and rulename <> '_RETURN')
             or exists (select from pg_attribute where attrelid = c.oid and attacl is not null) as has_more
      from dependent join pg_class c using (oid) group by c.oid order by max(depth) desc, c.oid desc
  loop
    if view.has_more then
      raise exception 'cape_issues can''t be adopted while the view %, with triggers, rules or column grants of its own, '
        'depends on it: drop the view, migrate, create it again', view.name;
    end if;
    putting_back := cape_adopt_view(view.name, view.what) || putting_back;
    execute format('drop %s %s', view.what, view.name);
  end loop;
  return putting_back;
end $$;

-- The same for triggers on the changed columns, and for indexes with an enum's value in their predicate. An index on a
-- plain column is rebuilt by Postgres itself.
create function cape_adopt_dependents(changed int[], with_indexes boolean) returns text[]
language plpgsql set search_path from current as $$
declare
  putting_back text[] := '{}';
  one record;
begin
  for one in
    select distinct format('trigger %I on cape_issues', t.tgname) as name, pg_get_triggerdef(t.oid) as definition
      from pg_trigger t join pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = t.oid
     where t.tgrelid = 'cape_issues'::regclass and not t.tgisinternal
       and d.refobjid = 'cape_issues'::regclass and d.refobjsubid = any(changed)
    union all
    select format('index %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
      from pg_index i
     where i.indrelid = 'cape_issues'::regclass and with_indexes and (i.indpred is not null or i.indexprs is not null)
       and not exists (select from pg_constraint where conindid = i.indexrelid)
  loop
    putting_back := putting_back || one.definition;
    execute 'drop ' || one.name;
  end loop;
  return putting_back;
end $$;

-- Changes the types in one ALTER TABLE, with everything in its way put aside and back in this same transaction.
create function cape_adopt_types() returns void language plpgsql set search_path from current as $$
declare
  alterations text;
  changed int[];
  enums text[];
  putting_back text[];
  command text;
  enum text;
begin
  -- No USING for times: with a server in UTC the plain cast spares the rewrite of the table.
  select string_agg(format('alter column %1$I drop default, alter column %1$I type %2$s%3$s', name, wanted,
                           case when wanted <> 'timestamptz' then format(' using %I::text', name) end), ', '),
         array_agg(number), coalesce(array_agg(has) filter (where is_enum), '{}')
    into alterations, changed, enums from cape_adopt_columns();
  if alterations is null then return; end if;
  putting_back := cape_adopt_views(changed) || cape_adopt_dependents(changed, enums <> '{}');
  execute 'alter table cape_issues ' || alterations;
  foreach command in array putting_back loop
    -- Definitions spell an enum's values as 'pending'::its_type, which no longer compares with the column.
    foreach enum in array enums loop
      command := replace(command, '::' || enum, '::text');
    end loop;
    execute command;
  end loop;
exception when feature_not_supported or undefined_function or invalid_object_definition then
  -- A policy, a generated column or something else that Postgres names.
  raise exception 'cape_issues can''t be adopted: %', sqlerrm
    using hint = 'Drop what depends on its columns, migrate, and create it again.';
end $$;

select cape_adopt_check();
select cape_adopt_id();

-- Columns that an older table lacks. Without defaults: its rows get their values further down, not the time of this run.
alter table cape_issues
  add column if not exists assigned_worker_id varchar(100),
  add column if not exists created_at timestamptz,
  add column if not exists updated_at timestamptz,
  add column if not exists started_at timestamptz,
  add column if not exists completed_at timestamptz;

select cape_adopt_types();

drop function cape_adopt_check(), cape_adopt_id(), cape_adopt_types(), cape_adopt_columns(), cape_adopt_views(int[]),
  cape_adopt_view(regclass, text), cape_adopt_dependents(int[], boolean);

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
