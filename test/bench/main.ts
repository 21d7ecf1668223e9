/**
 * `npm run bench`: cape-worker and its peers side by side. Exit code 0: measured, whatever the numbers say; 1: a line
 * failed; 2: could not run.
 */

import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hideBin } from 'yargs/helpers';
import { messageOf } from '../../src/core/errors.js';
import { LINES } from './lines.js';
import { parseOptions } from './options.js';
import { ensurePeers } from './peers.js';
import { type Progress, progressOn } from './progress.js';
import { print, write } from './publish.js';
import { runLines } from './run-lines.js';

const MISUSE = 2;
const BUILT = join(import.meta.dirname, '..', '..', 'dist', 'index.js');

const options = parseOptions(
  hideBin(process.argv),
  LINES.map(({ name }) => name),
  (why) => {
    console.error(why);
    process.exit(MISUSE);
  },
);

const interrupted = new AbortController();
setMaxListeners(0, interrupted.signal);
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.on(name, () => {
    if (!interrupted.signal.aborted) console.error('interrupted: ending everything and removing what was made');
    interrupted.abort();
  });

async function main(progress: Progress): Promise<number> {
  if (!existsSync(BUILT)) throw new Error('the program is not built: npm run build');
  ensurePeers((text) => progress.line(text));
  const results = await runLines(options, progress, interrupted.signal);
  print(results, options);
  if (options.write) for (const path of write(results)) progress.line(`written: ${path}`);
  return results.lines.some(({ failure }) => failure !== null) ? 1 : 0;
}

/** What was printed has to be out first. */
function leave(code: number): void {
  process.stdout.write('', () => process.exit(code));
}

main(progressOn(process.stderr)).then(leave, (error) => {
  if (!interrupted.signal.aborted) console.error(messageOf(error));
  leave(interrupted.signal.aborted ? 130 : MISUSE);
});
