import { expect, test } from 'vitest';
import { isSameDatabase, isSameServer } from '../../src/service/same-database.js';

const OURS = 'postgres://cape:one@127.0.0.1:5433/cape';

test.each([
  ['postgres://cape:two@127.0.0.1:5433/cape', true, true],
  ['postgres://worker:two@127.0.0.1:5433/cape', false, true],
  ['postgres://cape:one@localhost:5433/other', false, true],
  ['postgres://cape:one@127.0.0.1:5434/cape', false, false],
  ['postgres://cape:one@db/cape', false, false],
  ['', false, false],
])('%s', (url, database, server) => {
  expect([isSameDatabase(url, OURS), isSameServer(url, OURS)]).toEqual([database, server]);
});
