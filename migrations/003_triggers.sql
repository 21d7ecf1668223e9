-- oldest-program: 0.1.0
--
-- What happens when somebody else writes to cape_issues. None of these runs a function for the statements of the queue
-- itself (WHEN is decided without calling one), except where a row becomes claimable and an idle worker is to be woken.
--
-- Functions are SECURITY DEFINER where they touch other tables, since a client may have rights on cape_issues alone, and
-- fixed to the schema that this migration ran for.

set local lock_timeout = '5s';

-- `insert into cape_issues (description)` has to work for a client with INSERT on this table and nothing else, but the
-- default of a serial column asks for the sequence as well. USAGE lets nobody set it back.
do $sequence$
begin
  if pg_get_serial_sequence('cape_issues', 'id') is not null then
    execute 'grant usage on sequence ' || pg_get_serial_sequence('cape_issues', 'id') || ' to public';
  end if;
end
$sequence$;

-- A NOTIFY takes a lock on the whole server until commit: 16 inserting clients make 21 k rows/s without, 18 k with this
-- gate while nobody waits, 5.6 k notifying each time. Outside read committed our snapshot may be older than a worker's
-- mark, so there it always notifies. A notification wakes and nothing more: reading the queue is the truth.
create function cape_wake() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if current_setting('transaction_isolation') <> 'read committed'
    or exists (select from cape_workers where waiting_until > clock_timestamp()) then
    perform pg_notify('cape_issues', '');
  end if;
  return null;
end $$;

create trigger cape_wake_on_insert after insert on cape_issues
  for each statement execute function cape_wake();
-- By row with WHEN: a trigger by statement would notify on each of our own claims.
create trigger cape_wake_on_update after update of status, run_at, leased, assigned_worker_id on cape_issues
  for each row when (
    new.status = 'pending' and new.run_at is null and not new.leased
    and (old.status <> 'pending' or old.run_at is not null or old.leased
         or old.assigned_worker_id is distinct from new.assigned_worker_id))
  execute function cape_wake();

-- Explicit NULLs, as some mappers write them, get the defaults.
create function cape_fill_gaps() returns trigger language plpgsql set search_path from current as $$
begin
  new.status := coalesce(new.status, 'pending');
  new.priority := coalesce(new.priority, 0);
  new.created_at := coalesce(new.created_at, now());
  new.updated_at := coalesce(new.updated_at, now());
  return new;
end $$;

create trigger cape_a_fill_gaps before insert or update on cape_issues
  for each row when (new.status is null or new.priority is null or new.created_at is null or new.updated_at is null)
  execute function cape_fill_gaps();

-- A running attempt is to be ended: the mark is found by its holder's next renewal, which the notification brings forward.
-- A lease that no process of ours holds ends here and now, since nobody would.
create function cape_end_lease(issue int, why text) returns void
language plpgsql security definer set search_path from current as $$
begin
  update cape_leases set cancel = why where issue_id = issue and instance is not null;
  if found then perform pg_notify('cape_issues', 'cancel'); end if;
  with ended as (delete from cape_leases where issue_id = issue and instance is null returning *)
  insert into cape_attempts (issue_id, attempt, token, worker_id, started_at, outcome, error)
  select issue_id, attempt, token, worker_id, started_at, 'interrupted', why from ended;
end $$;
revoke execute on function cape_end_lease(int, text) from public;

-- A status written by somebody else is made consistent, not refused.
create function cape_by_hand() returns trigger language plpgsql security definer set search_path from current as $$
begin
  new.updated_at := now();
  if new.status = 'pending' then
    new.started_at := null;
    new.completed_at := null;
    -- The runner's name leaves the row unless the same statement wrote a new one.
    if old.status <> 'pending' and new.assigned_worker_id is not distinct from old.assigned_worker_id then
      new.assigned_worker_id := old.target_worker_id;
    end if;
  elsif new.status <> 'started' then
    new.completed_at := coalesce(new.completed_at, now());
  end if;
  perform cape_end_lease(old.id, format('set to %s by hand', new.status));
  -- Still held by a process of ours: whatever the status, not claimable until that attempt has ended. Looked up, not
  -- taken from the row: with a wrong `leased` in it every claim of the row would fail on the lease's key.
  new.leased := exists (select from cape_leases where issue_id = old.id);
  return new;
end $$;

-- Our statements clear `leased` where they end an attempt and keep the times right, so they match neither branch.
create trigger cape_by_hand before update of status on cape_issues
  for each row when (
    old.status <> new.status and (
      (old.leased and new.leased and new.status <> 'started')
      or (new.status = 'pending' and (new.started_at is not null or new.completed_at is not null))
      or (new.status in ('completed', 'failed', 'cancelled') and new.completed_at is null)))
  execute function cape_by_hand();

-- 'started' written by somebody else, most likely a worker of an older system: it gets an hour, as at adoption, and is
-- rescued after that, or a row would stay started for ever.
create function cape_started_by_hand() returns trigger
language plpgsql security definer set search_path from current as $$
begin
  new.started_at := coalesce(new.started_at, now());
  new.attempt := new.attempt + 1;
  new.leased := true;
  insert into cape_leases (issue_id, attempt, token, worker_id, started_at, lease_until)
  values (new.id, new.attempt, gen_random_uuid(), coalesce(new.assigned_worker_id, 'unknown'), new.started_at,
          new.started_at + interval '1 hour');
  return new;
end $$;

create trigger cape_started_by_hand before insert or update of status on cape_issues
  for each row when (new.status = 'started' and not new.leased)
  execute function cape_started_by_hand();

-- What is deleted takes its history along. A running attempt loses its lease: its holder's next renewal, which the
-- notification brings forward, says "lost", and the command is ended.
create function cape_deleted() returns trigger language plpgsql security definer set search_path from current as $$
begin
  delete from cape_attempts where issue_id in (select id from gone);
  delete from cape_leases where issue_id in (select id from gone);
  if found then perform pg_notify('cape_issues', 'cancel'); end if;
  return null;
end $$;

create trigger cape_deleted after delete on cape_issues
  referencing old table as gone for each statement execute function cape_deleted();

-- TRUNCATE ... RESTART IDENTITY gives the same ids again, which must not meet the old ones' history.
create function cape_truncated() returns trigger language plpgsql security definer set search_path from current as $$
begin
  truncate cape_attempts;
  delete from cape_leases;
  perform pg_notify('cape_issues', 'cancel');
  return null;
end $$;

create trigger cape_truncated after truncate on cape_issues
  for each statement execute function cape_truncated();

-- Only where an older program left an `assigned_to` (text, or an enum of worker names): whoever writes it directs the
-- issue, and whoever directs the issue finds it written there.
create function cape_assigned_to() returns trigger language plpgsql set search_path from current as $$
declare
  worker text := nullif(left(btrim(new.assigned_to::text), 100), '');
begin
  -- A running or ended row says in assigned_worker_id who ran it; the direction is remembered beside it.
  if new.status = 'pending' then new.assigned_worker_id := worker; else new.target_worker_id := worker; end if;
  return new;
end $$;

create function cape_assigned_worker() returns trigger language plpgsql set search_path from current as $$
begin
  new.assigned_to := new.assigned_worker_id;
  return new;
exception when invalid_text_representation then
  new.assigned_to := null; -- an enum that doesn't know this worker
  return new;
end $$;

do $assigned_to$
begin
  if not exists (
    select from pg_attribute where attrelid = 'cape_issues'::regclass and attname = 'assigned_to' and not attisdropped
  ) then
    drop function cape_assigned_to();
    drop function cape_assigned_worker();
    return;
  end if;
  create trigger cape_assigned_to_on_insert before insert on cape_issues
    for each row when (new.assigned_to is not null and new.assigned_worker_id is null)
    execute function cape_assigned_to();
  create trigger cape_assigned_to_on_update before update of assigned_to on cape_issues
    for each row when (new.assigned_to is distinct from old.assigned_to)
    execute function cape_assigned_to();
  -- From pending to pending: neither a claim nor a release, which leave assigned_to as the direction it is.
  create trigger cape_assigned_worker before update of assigned_worker_id on cape_issues
    for each row when (
      old.status = 'pending' and new.status = 'pending' and new.assigned_to is not distinct from old.assigned_to
      and new.assigned_worker_id is distinct from old.assigned_worker_id)
    execute function cape_assigned_worker();
end
$assigned_to$;
