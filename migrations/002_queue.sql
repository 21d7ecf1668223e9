-- oldest-program: 0.1.0
--
-- What the queue keeps besides the contract's columns.
--
-- Three things are told apart:
--   cape_issues    what is to be done and what came of it; other programs see and change it
--   cape_leases    who is doing it now: one narrow row per running attempt, gone when the attempt ends
--   cape_attempts  what was done: one row per attempt, written once, at its end, never changed by the queue's own hot path
-- A renewal touches cape_leases only, so somebody's lock on an issue can't make a worker miss it; the key of cape_leases
-- forbids two live attempts of one issue. No foreign keys: they cost 2.5 us a row and would tie history to the issue.

set local lock_timeout = '5s';

alter table cape_issues
  add column if not exists priority smallint not null default 0,
  -- Parked until then; null = may be claimed. The tick that finds it due clears it, so the claim's index holds no future row.
  add column if not exists run_at timestamptz,
  -- While pending, `assigned_worker_id` directs the issue to that worker alone. The claim moves it here and writes the
  -- runner there; a release moves it back. Null = anyone.
  add column if not exists target_worker_id varchar(100),
  -- Failures allowed: null = the worker's setting, 0 = no limit.
  add column if not exists max_attempts smallint,
  add column if not exists timeout_seconds int,
  -- Only grows: a released attempt's number is never given again.
  add column if not exists attempt int not null default 0,
  add column if not exists failures smallint not null default 0,
  add column if not exists crashes smallint not null default 0,
  add column if not exists snoozes int not null default 0,
  -- Grows with every retry that a person asks for.
  add column if not exists generation int not null default 0,
  add column if not exists result text,
  add column if not exists last_error text,
  add column if not exists type text not null default 'command',
  add column if not exists params jsonb,
  add column if not exists key text,
  -- True exactly while cape_leases has a row for it; set by the claim, cleared with the lease. It is how a trigger tells
  -- a status written by hand from one written by our statements, and what keeps an issue that somebody set back to
  -- pending from being claimed before its running attempt has ended.
  add column if not exists leased boolean not null default false;

-- Claimed rows leave dead entries at the head of the claim's index: vacuum early and without pauses.
alter table cape_issues set (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- The claim's order and nothing but claimable rows, the status a literal: with 1 M pending rows a claim of 10 takes 0.4 ms
-- (an index on status and created_at: 85 claims a second at 100 k). The priority is negated so that all keys ascend and one
-- row comparison can start behind the last claimed key; as int, since -(-32768) is no smallint.
create index cape_issues_claim on cape_issues ((-priority::int), created_at, id)
  where status = 'pending' and run_at is null and not leased and assigned_worker_id is null;
-- Directed rows apart, or 100,000 rows for a worker that is down would be filtered at every claim.
create index cape_issues_directed on cape_issues (assigned_worker_id, (-priority::int), created_at, id)
  where status = 'pending' and run_at is null and not leased and assigned_worker_id is not null;
create index cape_issues_parked on cape_issues (run_at) where status = 'pending' and run_at is not null;
-- At most one unfinished issue has a given key.
create unique index cape_issues_key on cape_issues (key) where key is not null and status in ('pending', 'started');

-- Half-empty pages make every renewal a HOT update. No index on token: it is asked for after an unclear claim only, and
-- there are no more leases than running commands.
create table cape_leases (
  issue_id int primary key,
  attempt int not null,
  -- Chosen by the client for one claim statement; (issue_id, token) fences every later write.
  token uuid not null,
  worker_id varchar(100) not null,
  -- The process that holds it (cape_workers.instance). Null: nobody of ours, a program or a person wrote 'started'.
  instance uuid,
  started_at timestamptz not null default now(),
  lease_until timestamptz not null,
  -- Why the attempt is to be ended; set by cancel (or a trigger), read by the holder's next renewal, honoured by settle,
  -- release and rescue: instead of pending the issue then becomes cancelled. Whoever sets it locks the issue first, looks
  -- for the lease in a second statement, and sends NOTIFY cape_issues, 'cancel', upon which holders renew at once.
  cancel text
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

create table cape_attempts (
  issue_id int not null,
  attempt int not null,
  token uuid not null,
  worker_id varchar(100) not null,
  started_at timestamptz not null,
  ended_at timestamptz not null default now(),
  -- One of the program's outcomes, or 'crashed': the holder was gone and the attempt was taken from it.
  outcome text not null,
  exit_code int,
  signal text,
  error text,
  tail text,
  log_path text,
  log_host text,
  primary key (issue_id, attempt)
);
-- Written in the order of ended_at, so this costs next to nothing and serves "what ended since" and pruning.
create index cape_attempts_ended on cape_attempts using brin (ended_at) with (autosummarize = on);

create table cape_workers (
  id varchar(100) primary key,
  -- Chosen by the process that registered: a process that finds another value has lost the id.
  instance uuid not null unique,
  host text not null,
  -- Machine, boot and pid namespace: only where all agree can a pid be looked up.
  machine text not null,
  pid int not null,
  -- When the process started, as its kernel tells it: tells it from a later process with the same pid.
  pid_start text not null,
  version text not null,
  slots int not null,
  log_dir text,
  -- The processes that guard its commands, for a successor on the same machine.
  helpers jsonb,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  -- Idle and listening until then: inserts notify only while some worker is.
  waiting_until timestamptz,
  -- Left in good order.
  stopped_at timestamptz
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Who claims nothing, '*' meaning everybody. A table of its own, so that a worker nobody has seen yet can be paused too.
create table cape_pauses (
  worker_id varchar(100) primary key,
  since timestamptz not null default now()
);

-- An older program that had `assigned_to` directed issues with it. It also says who ran what has ended.
do $assigned_to$
begin
  if exists (select from pg_attribute where attrelid = 'cape_issues'::regclass and attname = 'assigned_to' and not attisdropped) then
    update cape_issues
       set assigned_worker_id = left(btrim(assigned_to::text), 100), target_worker_id = left(btrim(assigned_to::text), 100)
     where assigned_worker_id is null and btrim(assigned_to::text) <> '';
  end if;
end
$assigned_to$;

-- Rows that an older worker left started: a lease that ends an hour after their start, then they are rescued like any
-- other. An older worker that is still running knows no lease and can't be fenced: stop it before migrating.
with held as (
  update cape_issues set leased = true, attempt = attempt + 1, started_at = coalesce(started_at, updated_at)
   where status = 'started' and not leased
  returning id, attempt, assigned_worker_id, started_at
)
insert into cape_leases (issue_id, attempt, token, worker_id, started_at, lease_until)
select id, attempt, gen_random_uuid(), coalesce(assigned_worker_id, 'unknown'), started_at, started_at + interval '1 hour'
  from held;
