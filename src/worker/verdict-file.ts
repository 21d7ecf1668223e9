/**
 * An attempt that has ended and is not written to the database yet, as a file: what is left of an hour's work where the
 * worker dies while the database is away.
 */
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { OUTCOMES } from '../core/outcome.js';
import { makeFolderAsync } from '../folders.js';
import type { Settlement } from '../queue/settle.js';
import { stateDirOf } from './plan.js';

/** Which database an attempt belongs to: a folder of logs may have served another one before. */
export interface Origin {
  /** `queue/identity.ts` */
  readonly database: string;
  readonly schema: string;
}

// What Postgres would not take is refused here: a file is read by a person at most once, a statement is tried for ever.
const line = z
  .string()
  .max(4096)
  .regex(/^[^\0]*$/);
const text = z.string().nullish();
const charge = z.enum(['failure', 'crash', 'snooze', 'none']);

const verdictSchema = z.discriminatedUnion('action', [
  z.object({ action: z.literal('finish'), status: z.enum(['completed', 'failed', 'cancelled']), charge }),
  z.object({ action: z.literal('requeue'), delayMs: z.number().min(0).max(1e12), charge }),
]);

const settlementSchema = z.object({
  id: z.int32().positive(),
  token: z.guid(),
  verdict: verdictSchema,
  outcome: z.object({
    kind: z.enum(OUTCOMES),
    exitCode: z.int32().nullish(),
    signal: line.nullish(),
    error: text,
    result: text,
    tail: text,
  }),
  logPath: line.nullable(),
  logHost: line.nullable(),
});

const keptSchema = z.object({
  database: z.string(),
  schema: z.string(),
  worker: z.string(),
  /** The process that ran it. */
  instance: z.guid(),
  /** When it was kept, for people. */
  at: z.string(),
  settlement: settlementSchema,
});

export type KeptVerdict = z.output<typeof keptSchema>;

/** A result is 64 KiB and a tail 8 at most; as JSON a character may take six bytes. */
const LARGEST_BYTES = 1 << 20;

/** Where a worker keeps them: one folder, so that a successor need not look through those of all attempts. */
export function verdictDirOf(logDir: string, workerId: string): string {
  return join(stateDirOf(logDir, workerId), 'verdicts');
}

/** By token: issue and attempt alone may come again, in another database or after TRUNCATE ... RESTART IDENTITY. */
export function fileNameOf({ id, token }: Pick<Settlement, 'id' | 'token'>): string {
  return `${id}-${token}.json`;
}

/** True for the names that `fileNameOf` gives: half-written files and those set aside have others. */
export function isVerdictName(name: string): boolean {
  return /^\d{1,10}-[0-9a-f-]{36}\.json$/.test(name);
}

/**
 * Writes files that are whole and on the disk once this resolves, or not there. One after another: Node has four threads
 * for the disk, and a slow one that had them all would also hold up the look-up of the database's name.
 * @throws where the disk will not
 */
export async function writeVerdicts(dir: string, verdicts: readonly KeptVerdict[]): Promise<void> {
  await makeFolderAsync(dir, 0o700);
  for (const verdict of verdicts) await writeOne(dir, verdict);
  const folder = await open(dir, 'r');
  await folder.sync().finally(() => folder.close());
}

async function writeOne(dir: string, verdict: KeptVerdict): Promise<void> {
  const path = join(dir, fileNameOf(verdict.settlement));
  const half = `${path}.new`;
  try {
    const file = await open(half, 'w', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(verdict)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(half, path);
  } catch (error) {
    await rm(half, { force: true }).catch(() => {}); // the error that counts is the first
    throw error;
  }
}

/**
 * Reads one. Anything may lie at the path: a FIFO is opened without blocking, and only a plain file is read.
 * @throws where it is no verdict, or can't be read
 */
export async function readVerdict(path: string): Promise<KeptVerdict> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new Error('not a plain file');
    if (found.size > LARGEST_BYTES) throw new Error(`larger than any verdict (${found.size} bytes)`);
    const kept = keptSchema.safeParse(JSON.parse(await file.readFile('utf8')));
    if (!kept.success) throw new Error(z.prettifyError(kept.error).replaceAll('\n', ' '));
    return kept.data;
  } finally {
    await file.close();
  }
}
