/** What the tools that are there think of the plists: plutil on a Mac, xmllint elsewhere. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { renderPlist } from '../../src/service/plist.js';
import { tempFolder } from '../support/worker.js';
import { PLISTS } from './specs.js';

const TOOLS = [
  { tool: 'plutil', probe: ['-help'], args: ['-lint', '-s'] },
  { tool: 'xmllint', probe: ['--version'], args: ['--nonet', '--noout'] },
];

describe.each(TOOLS)('$tool', ({ tool, probe, args }) => {
  const missing = spawnSync(tool, probe).error !== undefined;
  if (missing) console.log(`${tool} is not installed: left out is what it says of the plists`);

  test.skipIf(missing).each(Object.entries(PLISTS))('has nothing to say against the plist %s', (name, spec) => {
    const file = join(tempFolder('cape-plists-'), `${name}.plist`);
    writeFileSync(file, renderPlist(spec));
    const { status, stdout, stderr } = spawnSync(tool, [...args, file], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});
