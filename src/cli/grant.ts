/** `migrate --grant`: what it is given, and what it does and says. */
import { CapeError } from '../core/errors.js';
import { connect, type Database } from '../db/connect.js';
import { explainFailure } from '../db/explain.js';
import { grantRights, ROLE_KINDS, type RoleKind, rightsOf, unknownRoles } from '../queue/rights.js';
import { type OpenDatabase, toStderr } from './database.js';
import { quoted } from './values.js';

export interface Grant {
  readonly role: string;
  readonly kind: RoleKind;
}

export interface Granted extends Grant {
  /** What the role could do besides. */
  readonly beyond: readonly string[];
}

const KIND = new RegExp(`:(${ROLE_KINDS.join('|')})$`);

/** `ROLE` or `ROLE:kind`. A role's name may hold a colon itself. */
export function grantOf(text: string): Grant {
  const [suffix = '', kind = 'worker'] = KIND.exec(text) ?? [];
  const role = text.slice(0, text.length - suffix.length);
  if (role === '') throw new CapeError('usage', '--grant: got nothing; needs the name of a role');
  return { role, kind: kind as RoleKind };
}

/**
 * Asked before anything is changed.
 * @throws CapeError `usage` for a role that does not exist
 */
export function refuseUnknownRoles(database: OpenDatabase, grants: readonly Grant[]): Promise<void> {
  return connected(database, async (db) => {
    const roles = grants.map(({ role }) => role);
    const [unknown] = await unknownRoles(db, roles);
    if (unknown === undefined) return;
    const advice = 'create it first, as in CREATE ROLE ... LOGIN';
    const kinds = ROLE_KINDS.map((kind) => `ROLE:${kind}`).join(', ');
    refuseUnknownKind(unknown);
    throw new CapeError('usage', `--grant: got ${quoted(unknown)}; there is no such role: ${advice} (kinds: ${kinds})`);
  });
}

/** Said only of what no role is called: a role's name may hold a colon. */
function refuseUnknownKind(unknown: string): void {
  const colon = unknown.lastIndexOf(':');
  if (colon < 0) return;
  const kind = quoted(unknown.slice(colon + 1));
  const allowed = ROLE_KINDS.join(', ');
  throw new CapeError(
    'usage',
    `--grant: got ${quoted(unknown)}; the kind ${kind} is not one of ${allowed}, nor is there a role of the whole name`,
  );
}

/** @throws CapeError `database` or `config` where this role may not grant */
export function grantAll(database: OpenDatabase, grants: readonly Grant[]): Promise<Granted[]> {
  return connected(database, async (db) => {
    const granted: Granted[] = [];
    for (const one of grants) granted.push(await grant(db, one));
    return granted;
  });
}

async function connected<T>({ url, schema }: OpenDatabase, work: (db: Database) => Promise<T>): Promise<T> {
  const db = connect({ url, schema, applicationName: 'cape-worker migrate' });
  try {
    return await work(db);
  } catch (error) {
    throw explainFailure(error, url, schema);
  } finally {
    await db.close();
  }
}

async function grant(db: Database, { role, kind }: Grant): Promise<Granted> {
  await grantRights(db, role, kind);
  const { lacks, beyond } = await rightsOf(db, role, kind);
  // A grant by somebody who has the right without the right to pass it on is a mere warning of the server.
  if (lacks.length > 0)
    throw new CapeError(
      'database',
      `--grant: role ${quoted(role)} still lacks ${lacks.join(', ')}; grant as the owner of the schema and its tables`,
    );
  if (beyond.length > 0)
    toStderr(`cape-worker: role ${quoted(role)} has more than a ${kind} needs: ${beyond.join('; ')}`);
  return { role, kind, beyond };
}
