import { expect, test } from 'vitest';
import type { Failure } from '../../src/db/failure.js';
import { describe as inWords, stateOf } from '../../src/worker/describe.js';

const failure = (kind: Failure['kind'], code: string, message: string): Failure => {
  return { kind, code, message, unclear: false, server: 'db.example.com:5432' };
};

const CASES: [what: string, failure: Failure, words: string][] = [
  [
    'nobody listens',
    failure('unreachable', 'ECONNREFUSED', 'connect ECONNREFUSED db.example.com:5432'),
    'the database is out of reach (connect ECONNREFUSED db.example.com:5432)',
  ],
  [
    'a server that starts',
    failure('unreachable', '57P03', 'the database system is starting up'),
    'the database at db.example.com:5432 is starting up or shutting down (the database system is starting up)',
  ],
  [
    'out of connections',
    failure('unreachable', '53300', 'sorry, too many clients already'),
    'the database at db.example.com:5432 is out of connections (sorry, too many clients already); each worker takes three or four, and one more now and then',
  ],
  [
    'a full disk',
    failure('transient', '53100', 'could not extend file'),
    'the database at db.example.com:5432 is out of disk space (could not extend file)',
  ],
  [
    'a wrong password',
    failure('refused', '28P01', 'password authentication failed for user "cape"'),
    'the database at db.example.com:5432 refuses the login (password authentication failed for user "cape"); check DATABASE_URL',
  ],
  [
    'an unknown database',
    failure('refused', '3D000', 'database "cpae" does not exist'),
    'the database at db.example.com:5432 does not exist (database "cpae" does not exist); create it, or check DATABASE_URL',
  ],
  [
    'TLS refused',
    failure('refused', 'TLS', 'db.example.com does not offer TLS, which sslmode=require asks for'),
    'the database at db.example.com:5432 and this worker do not agree on TLS (db.example.com does not offer TLS, which sslmode=require asks for); check sslmode and the certificates of DATABASE_URL',
  ],
  [
    'a demoted primary',
    failure('readonly', '25006', 'cannot execute UPDATE in a read-only transaction'),
    'the database at db.example.com:5432 is read-only: a standby, a primary that was demoted, or a server set so (cannot execute UPDATE in a read-only transaction)',
  ],
  [
    'missing tables',
    failure('schema', '42P01', 'relation "cape_issues" does not exist'),
    'the database at db.example.com:5432 lacks tables, or has those of another version (relation "cape_issues" does not exist); run "cape-worker migrate"',
  ],
  [
    'a missing right',
    failure('permission', '42501', 'permission denied for table cape_issues'),
    'the database at db.example.com:5432 denies the role a right (permission denied for table cape_issues); as the owner: cape-worker migrate --grant <role>',
  ],
];

test.each(CASES)('%s has a line of its own, which names the server', (_, found, words) => {
  expect(inWords(found)).toBe(words);
});

test('no two of them are taken for the same state', () => {
  const states = CASES.map(([, found]) => stateOf(found));
  expect(new Set(states).size).toBe(CASES.length);
});
