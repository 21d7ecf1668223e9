import { userInfo } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapeError } from '../../src/core/errors.js';
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
  ['postgres://u:secret@h:port/d', 'a port must be a number from 1 to 65535; got "***"'],
  ['postgres://u:secret@h:70000/d', 'a port must be a number from 1 to 65535; got "70000"'],
  ['postgres://u:12?secret=x@h/d', 'unknown parameter, known: host,'],
  ['postgres://u:secret%@h/d', 'must be written %25'],
  [
    'postgres://u:secret@h/d?sslmode=on',
    'sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full; got "on"',
  ],
  ['postgres://u:secret@h/d?sslmod=require', 'pgbouncer; got "sslmod"'],
  ['postgres://u:secret@h/d?target_session_attrs=standby', 'since a worker writes; got "standby"'],
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
  ['u:secret@h/d', '***'],
  [' postgres://u:secret@h/d\n', 'postgres://u:***@h/d'],
  ['postgres//u:secret@h/d', '***'],
  ['"postgres://u:secret@h/d', '***'],
  ['postgres://u:secret/d', 'postgres://***'],
  ['postgres://usecret@h:5432/d', 'postgres://***@h:5432/d'],
  ['postgres://h/d?user=u&pasword=secret', 'postgres://h/d?user=u&pasword=***'],
  ['postgres://u@a:1,[::1]:2/d?sslmode=require', 'postgres://***@a:1,[::1]:2/d?sslmode=require'],
  ['postgres://localhost:5432/d', 'postgres://localhost:5432/d'],
])('%s is shown without its password', (url, shown) => {
  expect(redactUrl(url)).toBe(shown);
});

describe('a password is never shown', () => {
  const SECRET = 'TOPsecret';
  const quiet = (url: string) => {
    expect(redactUrl(url)).not.toContain(SECRET);
    try {
      parseUrl(url);
    } catch (error) {
      expect(error).toBeInstanceOf(CapeError);
      expect((error as CapeError).message).not.toContain(SECRET);
    }
  };

  test('behind a colon, whatever else the text holds', () => {
    const words = 'postgres:// postgresql:// : / @ ? # & = " , % [ ] cape db.example 5432 user password sslmode \n';
    const piece = fc.oneof(fc.constantFrom(' ', ...words.split(' ')), fc.string({ maxLength: 3 }));
    const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, text, (before, after) => quiet(`${before}:${SECRET}${after}`)),
      { numRuns: 5000 },
    );
  });

  test('in a URL with any one character too many, too few or wrong', () => {
    const [before, after] = ['postgres://cape:', '@db.example:5432/cape?sslmode=require'];
    const edits = (text: string) =>
      [...text, ''].flatMap((_, at) =>
        ['', ...' :/@?#&="\',%[]x1\n'].flatMap((char) => [
          text.slice(0, at) + char + text.slice(at),
          text.slice(0, at) + char + text.slice(at + 1),
        ]),
      );
    for (const typo of edits(before)) quiet(typo + SECRET + after);
    for (const typo of edits(after)) quiet(before + SECRET + typo);
  });
});
