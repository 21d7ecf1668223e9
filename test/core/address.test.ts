/** Where a server listens and who may ask it, as settings say it. */
import { expect, test } from 'vitest';
import { address, apiTokens } from '../../src/core/values.js';

test.each([
  ['', '127.0.0.1', 7070],
  ['true', '127.0.0.1', 7070],
  ['8080', '127.0.0.1', 8080],
  [':8080', '127.0.0.1', 8080],
  ['0.0.0.0', '0.0.0.0', 7070],
  ['localhost:0', 'localhost', 0],
  ['[::1]:80', '::1', 80],
  ['[::]', '::', 7070],
])('"%s" is %s, port %d', (text, host, port) => {
  expect(address.parse(text)).toEqual({ host, port });
});

test.each(['a:b', '::1', ':', 'x:99999', 'a b:1', 'false', 'http://x:1'])('"%s" is no address', (text) => {
  expect(address.safeParse(text).success).toBe(false);
});

test('tokens have a role each, and enough characters', () => {
  expect(apiTokens.parse('read:0123456789abcdef, write:fedcba9876543210,')).toEqual([
    { role: 'read', token: '0123456789abcdef' },
    { role: 'write', token: 'fedcba9876543210' },
  ]);
  for (const wrong of ['', 'write:short', '0123456789abcdef', 'admin:0123456789abcdef', 'read:0123456789 abcdef']) {
    const { error } = apiTokens.safeParse(wrong);
    expect(error?.issues[0]?.message).toMatch(/^must be read:<token>/);
  }
});
