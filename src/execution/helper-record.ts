/** The record that a keeper leaves on disk, read by a worker that comes later. It may be torn, or of another machine. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { HelperRecord } from './spec.js';

const processSchema = z.object({ pid: z.int().positive(), start: z.string() });

const oneSchema = z.object({
  // Looked for in the environment of all processes: an empty one, or one of two lines, would find strangers.
  token: z.string().regex(/^[\w-]{8,64}$/),
  groupsFile: z.string(),
  worker: processSchema,
  keeper: processSchema,
  warden: processSchema.nullable(),
  machine: z.string().nullable().optional(),
  graceMs: z.number().min(0).max(600_000),
  controlGroup: z.string().nullable().optional(),
});

const recordSchema = oneSchema.extend({
  others: z.array(oneSchema).optional(),
}) satisfies z.ZodType<HelperRecord>;

export interface FoundRecord {
  readonly record: HelperRecord;
  /** The folder that it was read from, which goes when nothing is left; null where only a database row told of it. */
  readonly folder: string | null;
}

/**
 * The record in a keeper's folder; null where there is none: nothing was started from there, or it was left in peace.
 * A torn one counts as none: it is renamed into place, so only a loss of power tears it, and nothing outlives that.
 * @throws where it can't be read, or says something else than we know
 */
export async function readRecord(folder: string): Promise<FoundRecord | null> {
  const text = await readFile(join(folder, 'record.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  const value = text === null ? null : parsed(text);
  return value === null ? null : { record: checkedRecord(value), folder };
}

/** @throws for what is no record: of a database it may be anybody's words */
export function checkedRecord(value: unknown): HelperRecord {
  return recordSchema.parse(value);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The folders of a worker's keepers, those gone in peace not among them. @throws where the folder can't be read */
export async function keeperFolders(stateDir: string): Promise<string[]> {
  return (await readdir(stateDir)).map((name) => join(stateDir, name));
}
