/**
 * What a database role needs for its part in the queue. All of it is told again with `migrate --grant` after a migration
 * that adds a table: default privileges would open every later table of the schema, other programs' among them.
 */
import { CapeError } from '../core/errors.js';
import { arrayOf, type Database, type Queryable, quoteName } from '../db/connect.js';

/**
 * - `worker`: runs workers, and every command but `migrate`
 * - `producer`: adds issues and follows them; an INSERT of its own may name the columns of `issues add` and no others,
 *   so that it can set no id, status or count
 * - `reader`: looks at everything
 */
export const ROLE_KINDS = ['worker', 'producer', 'reader'] as const;
export type RoleKind = (typeof ROLE_KINDS)[number];

type Privilege = 'select' | 'insert' | 'update' | 'delete';

const READS = { select: true } as const;
const WRITES = { select: true, insert: true, update: true, delete: true } as const;

/** By table: true, or the columns where it is not the whole table. A privilege that is not named is not needed. */
const RIGHTS: Readonly<Record<RoleKind, Readonly<Record<string, Partial<Record<Privilege, true | string>>>>>> = {
  worker: {
    cape_issues: WRITES,
    cape_leases: WRITES,
    cape_attempts: WRITES,
    cape_workers: { select: true, insert: true, update: true },
    cape_pauses: { select: true, insert: true, delete: true },
    cape_events: WRITES,
    cape_readers: WRITES,
    cape_requests: WRITES,
    cape_identity: READS,
    cape_migrations: READS,
  },
  producer: {
    cape_issues: {
      select: true,
      insert:
        'description, priority, assigned_worker_id, target_worker_id, max_attempts, timeout_seconds, run_at, type, params, key',
    },
  },
  reader: {
    cape_issues: READS,
    cape_leases: READS,
    cape_attempts: READS,
    cape_workers: READS,
    cape_pauses: READS,
    cape_events: READS,
    cape_readers: READS,
    cape_requests: READS,
    cape_identity: READS,
    cape_migrations: READS,
  },
};

/** What a role has, compared with what it needs. */
export interface RoleRights {
  /** The role's name. */
  readonly role: string;
  /** Such as `UPDATE on cape_leases`; of the tables that are there. */
  readonly lacks: readonly string[];
  /** What it could do besides, for whatever reason: as an owner, as a member of another role, through PUBLIC. */
  readonly beyond: readonly string[];
}

/** Those of the names that no role of the server has. */
export async function unknownRoles(db: Queryable, names: readonly string[]): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `select name from unnest($1::text[]) as t(name) where not exists (select from pg_roles where rolname = t.name)`,
    [arrayOf(names)],
  );
  return rows.map(({ name }) => name);
}

/** Gives a role what it needs, and takes nothing away. Safe to repeat. Needs the owner of the tables. */
export function grantRights(db: Database, role: string, kind: RoleKind): Promise<void> {
  const to = quoteName(role);
  return db.transaction(async (tx) => {
    await tx.query(`grant usage on schema ${quoteName(db.schema)} to ${to}`);
    for (const [table, privileges] of Object.entries(RIGHTS[kind])) {
      const list = Object.entries(privileges).map(([name, what]) => (what === true ? name : `${name} (${what})`));
      await tx.query(`grant ${list.join(', ')} on ${table} to ${to}`);
    }
    if (kind === 'reader') return;
    for (const { name } of await tx.query<{ name: string }>(SEQUENCES))
      await tx.query(`grant usage on sequence ${name} to ${to}`);
  });
}

// Also one that the column does not own, as in a table that was adopted. The text is quoted where it has to be.
const SEQUENCES = `
  select distinct s.oid::regclass::text as name
    from pg_attrdef d
    join pg_depend u on u.classid = 'pg_attrdef'::regclass and u.objid = d.oid and u.refclassid = 'pg_class'::regclass
    join pg_class s on s.oid = u.refobjid and s.relkind = 'S'
   where d.adrelid = 'cape_issues'::regclass`;

/** @param role null: the one that asks */
export async function rightsOf(db: Database, role: string | null, kind: RoleKind): Promise<RoleRights> {
  const needed = Object.entries(RIGHTS[kind]).flatMap(([table, privileges]) =>
    Object.entries(privileges).map(([name, what]) => ({ table, name, column: what === true ? null : firstOf(what) })),
  );
  const tables = Object.keys(RIGHTS.worker);
  const [row] = await db.query<Has>(HAS, [role, db.schema, JSON.stringify(needed), arrayOf(tables)]);
  if (!row) throw new CapeError('database', `schema "${db.schema}" does not exist; run "cape-worker migrate"`);
  const has = row;
  const lacks = [...(has.uses ? [] : [`USAGE on schema ${db.schema}`]), ...has.lacks];
  if (has.superuser) return { role: has.role, lacks, beyond: ['is a superuser'] };
  const owns = has.owned.length === 0 ? [] : [`owns ${has.owned.join(', ')}`];
  const creates = has.creates ? [`may create in schema ${db.schema}`] : [];
  const may = has.beyond.length === 0 ? [] : [`may ${has.beyond.join(', ')}`];
  return { role: has.role, lacks, beyond: [...owns, ...creates, ...(owns.length > 0 ? [] : may)] };
}

/** All columns are granted together, so that one answers for all. */
function firstOf(columns: string): string {
  return columns.split(',')[0] as string;
}

interface Has {
  readonly role: string;
  readonly superuser: boolean;
  readonly uses: boolean;
  readonly creates: boolean;
  readonly lacks: readonly string[];
  readonly owned: readonly string[];
  readonly beyond: readonly string[];
}

const HAS = `
  with asked as (select oid, rolname, rolsuper from pg_roles where rolname = coalesce($1::text, current_user::text)),
  space as (select oid from pg_namespace where nspname = $2::text),
  needed as (select * from json_to_recordset($3::text::json) as n("table" text, name text, "column" text)),
  tables as (
    select c.oid, c.relname::text as name, c.relowner from pg_class c join space on space.oid = c.relnamespace
     where c.relname = any($4::text[]) and c.relkind in ('r', 'p')),
  lacking as (
    select upper(n.name) || ' on ' || n."table" as what
      from needed n cross join asked join tables t on t.name = n."table"
     where not case when n."column" is null then has_table_privilege(asked.oid, t.oid, n.name)
                    else has_column_privilege(asked.oid, t.oid, n."column", n.name) end),
  more as (
    select p.name || ' on ' || t.name as what
      from tables t cross join asked
     cross join unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) as p(name)
     where has_table_privilege(asked.oid, t.oid, p.name)
       and not exists (select from needed n where n."table" = t.name and upper(n.name) = p.name and n."column" is null))
  select asked.rolname as role, asked.rolsuper as superuser,
         has_schema_privilege(asked.oid, space.oid, 'USAGE') as uses,
         has_schema_privilege(asked.oid, space.oid, 'CREATE') as creates,
         (select coalesce(json_agg(what), '[]') from lacking) as lacks,
         (select coalesce(json_agg(name order by name), '[]') from tables where pg_has_role(asked.oid, relowner, 'MEMBER'))
           as owned,
         (select coalesce(json_agg(what order by what), '[]') from more) as beyond
    from asked cross join space`;
