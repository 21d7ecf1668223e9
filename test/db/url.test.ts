import { userInfo } from 'node:os';
import { expect, test } from 'vitest';
import { parseUrl, redactUrl } from '../../src/db/url.js';

const NO_TLS = { mode: null, rootCert: null, cert: null, key: null };

test('a plain URL is taken apart', () => {
  expect(parseUrl('postgres://me:p%40ss@db.example:6000/work')).toEqual({
    servers: [{ host: 'db.example', port: 6000 }],
    user: 'me',
    password: 'p@ss',
    database: 'work',
    tls: NO_TLS,
    primaryOnly: false,
    pooled: false,
    options: null,
  });
});

test('what is left out has the defaults of psql', () => {
  const me = userInfo().username;
  expect(parseUrl('postgresql://')).toMatchObject({
    servers: [{ host: 'localhost', port: 5432 }],
    user: me,
    database: me,
  });
  expect(parseUrl('postgres://ann@h')).toMatchObject({ user: 'ann', password: '', database: 'ann' });
});

test.each([
  ['postgres://u@/db?host=/run/pg&port=5433', [{ path: '/run/pg/.s.PGSQL.5433' }]],
  ['postgres:///db?host=/run/pg', [{ path: '/run/pg/.s.PGSQL.5432' }]],
  ['postgres://u@%2Frun%2Fpg/db', [{ path: '/run/pg/.s.PGSQL.5432' }]],
  ['postgres://u@[::1]:6000/db', [{ host: '::1', port: 6000 }]],
  [
    'postgres://u@a:1,b,c:3/db',
    [
      { host: 'a', port: 1 },
      { host: 'b', port: 5432 },
      { host: 'c', port: 3 },
    ],
  ],
  [
    'postgres://u@/db?host=a,b&port=1,2',
    [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ],
  ],
  [
    'postgres://u@/db?host=a,b&port=7',
    [
      { host: 'a', port: 7 },
      { host: 'b', port: 7 },
    ],
  ],
])('the servers of %s', (url, servers) => {
  expect(parseUrl(url).servers).toEqual(servers);
});

test('a password may hold what URLs give a meaning to, a raw @ among them', () => {
  expect(parseUrl('postgres://u:a%2Fb%23c%25+@h/d').password).toBe('a/b#c%+');
  expect(parseUrl('postgres://u:a@b:c@h/d').password).toBe('a@b:c');
});

test('of several servers the primary is looked for, unless the URL says otherwise', () => {
  expect(parseUrl('postgres://u@a,b/d').primaryOnly).toBe(true);
  expect(parseUrl('postgres://u@a/d').primaryOnly).toBe(false);
  expect(parseUrl('postgres://u@a/d?target_session_attrs=read-write').primaryOnly).toBe(true);
});

test('TLS settings are read, and what hosting companies add is accepted', () => {
  const url = 'postgres://u@h/d?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=c&sslkey=k&channel_binding=require';
  expect(parseUrl(url).tls).toEqual({ mode: 'verify-full', rootCert: '/ca.pem', cert: 'c', key: 'k' });
});

test.each([
  ['mysql://u:secret@h/d', 'expected postgres://'],
  ['h:5432/d', 'expected postgres://'],
  ['', 'expected postgres://'],
  ['postgres://u:secret@h:port/d', 'port "port" is not a number from 1 to 65535'],
  ['postgres://u:secret@h:70000/d', 'port "70000" is not'],
  ['postgres://u:secret%@h/d', 'must be written %25'],
  ['postgres://u:secret@h/d?sslmode=on', 'sslmode "on" is unknown; allowed: disable, allow, prefer'],
  ['postgres://u:secret@h/d?sslmod=require', 'unknown parameter "sslmod"; known: host,'],
  ['postgres://u:secret@h/d?target_session_attrs=standby', 'a worker writes; allowed: primary'],
])('%s is refused in words, without its password', (url, words) => {
  expect(() => parseUrl(url)).toThrow(words);
  expect(() => parseUrl(url)).toThrow(`"${redactUrl(url)}"`);
  expect(redactUrl(url)).not.toContain('secret');
});

test.each([
  ['postgres://u:secret@h/d', 'postgres://u:***@h/d'],
  ['postgres://u:secret@with:all@h/d', 'postgres://u:***@h/d'],
  ['postgres://u:secret/slash@h/d', 'postgres://u:***@h/d'],
  ['postgres://h/d?user=u&password=secret&sslmode=require', 'postgres://h/d?user=u&password=***&sslmode=require'],
  ['u:secret@h/d', 'u:***@h/d'],
  ['postgres://u@h:5432/d', 'postgres://u@h:5432/d'],
  ['postgres://localhost:5432/d', 'postgres://localhost:5432/d'],
])('%s is shown without its password', (url, shown) => {
  expect(redactUrl(url)).toBe(shown);
});
