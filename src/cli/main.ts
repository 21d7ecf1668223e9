/** The program's start and its end: the only file that calls process.exit. launcher.cjs comes before it. */
import { CapeError, EXIT } from '../core/errors.js';
import { oneLine, printable } from '../core/text.js';
import { programVersion } from '../db/migration-files.js';
import { parse } from './program.js';

let outlivesReader = false;

async function main(args: readonly string[]): Promise<number> {
  const parsed = await parse(args);
  if (parsed.kind === 'text') {
    process.stdout.write(`${parsed.text}\n`);
    return EXIT.ok;
  }
  outlivesReader = parsed.command.outlivesReader ?? false;
  return parsed.command.run(parsed);
}

/** Says what went wrong: one line for what a person can act on, the stack only for our own bugs. */
function report(error: unknown): number {
  if (error instanceof CapeError) {
    process.stderr.write(`cape-worker: ${oneLine(error.message)}\n`);
    return error.exitCode;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(
    `${printable(stack)}\ncape-worker ${programVersion()}: this is a bug in cape-worker, not in what you did. ` +
      'Please report it to its maintainers with the lines above.\n',
  );
  return EXIT.bug;
}

/** A pipe holds what was written until it is read; leaving earlier would cut it off. */
function leave(code: number): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
    // `| head` has read enough. Not for a worker, whose console may vanish with its terminal (then EIO).
    if (!outlivesReader) process.exit(EXIT.ok);
  });
}
process.on('uncaughtException', (error) => leave(report(error)));

main(process.argv.slice(2)).then(leave, (error) => leave(report(error)));
