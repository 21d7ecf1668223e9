/** What is rendered, to be read: after a change on purpose `npx vitest run test/service/golden.test.ts -u`. */
import { describe, expect, test } from 'vitest';
import { parsePlist, renderPlist } from '../../src/service/plist.js';
import { parseUnit, renderUnit } from '../../src/service/unit.js';
import { PLISTS, UNITS } from './specs.js';

describe.each(Object.entries(UNITS))('the unit %s', (name, { spec, features }) => {
  test('is rendered as in its golden file', async () => {
    await expect(renderUnit(spec, features)).toMatchFileSnapshot(`golden/${name}.service`);
  });

  test('tells what it was rendered from', () => {
    expect(parseUnit(renderUnit(spec, features))).toEqual(spec);
  });
});

describe.each(Object.entries(PLISTS))('the plist %s', (name, spec) => {
  test('is rendered as in its golden file', async () => {
    await expect(renderPlist(spec)).toMatchFileSnapshot(`golden/${name}.plist`);
  });

  test('tells what it was rendered from', () => {
    expect(parsePlist(renderPlist(spec))).toEqual(spec);
  });
});

test('a file that is none of ours was rendered from nothing', () => {
  const foreign = ['', '[Unit]\nDescription=x\n', '[X-Cape-Worker]\nworkerId="a"\n', '[X-Cape-Worker]\nworkerId=a"\n'];
  expect(foreign.map((text) => [parseUnit(text), parsePlist(text)])).toEqual(foreign.map(() => [null, null]));
});
