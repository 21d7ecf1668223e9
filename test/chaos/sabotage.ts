/**
 * The proof that the checker can fail: the same run against a copy of the program that has lost one of its fences. The
 * copy is made here, in the run's own folder; the product has no switch that turns its safety off.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * - `self-fencing`: no deadline of a lease ever passes, neither for the worker nor for its keeper
 * - `fencing`: whoever once held an issue may write its end, and take it, whoever holds it now
 */
export const FENCES = ['self-fencing', 'fencing'] as const;
export type Fence = (typeof FENCES)[number];

interface Cut {
  /** In dist. */
  readonly files: readonly string[];
  /** A pattern where the bundle may have given a name of its own. */
  readonly what: string | RegExp;
  readonly by: string;
}

const WORKER = 'cli/program.cjs';
const CUTS: Record<Fence, readonly Cut[]> = {
  'self-fencing': [
    {
      files: [WORKER, 'execution/keeper.cjs'],
      what: /return \w+\.mono > deadline\.mono \|\| \w+\.boot > deadline\.boot;/,
      by: 'return false;',
    },
  ],
  fencing: [
    { files: [WORKER], what: 'and l.issue_id = v.id and l.token = v.token', by: 'and l.issue_id = v.id' },
    {
      files: [WORKER],
      what: 'and l.issue_id = seen.id and l.token = seen.token',
      by: 'and l.issue_id = seen.id',
    },
  ],
};

/** @returns the main program of the copy */
export function sabotagedProgram(folder: string, without: Fence): string {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const copy = join(folder, `program without ${without}`);
  mkdirSync(copy);
  for (const name of ['dist', 'migrations', 'package.json'])
    cpSync(join(root, name), join(copy, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  // What V8 compiled of it before it was cut: of a text as long as that one, it would not see the difference.
  const cli = join(copy, 'dist/cli');
  for (const name of readdirSync(cli)) if (name.endsWith('.cache')) rmSync(join(cli, name));
  const cuts = CUTS[without].flatMap(({ files, what, by }) => files.map((file) => ({ file, what, by })));
  for (const { file, what, by } of cuts) {
    const path = join(copy, 'dist', file);
    const text = readFileSync(path, 'utf8');
    // Or the run would find nothing, and look as if the fence were of no use.
    if (text.split(what).length !== 2)
      throw new Error(
        `${file} has no longer exactly one "${what}": the sabotage would do nothing; adapt test/chaos/sabotage.ts`,
      );
    writeFileSync(path, text.replace(what, by));
  }
  return join(copy, 'dist/cli/main.js');
}
