/** The output of an attempt on this host's disk: its head, then its newest segments, as one text with ranges. */
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, normalize } from 'node:path';
import { Readable } from 'node:stream';
import type { Attempt } from '../core/issue.js';
import { logPieces } from '../execution/tail.js';

interface Part {
  readonly file: FileHandle;
  /** Where it begins in what the command wrote. */
  readonly offset: number;
  readonly size: number;
}

/** Open files, so that a segment that its writer drops meanwhile can still be read. */
export class OutputFile {
  readonly #parts: readonly Part[];
  /** Bytes that are there. */
  readonly size: number;
  /** Bytes that were dropped between them. */
  readonly skipped: number;

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
    this.size = parts.reduce((sum, { size }) => sum + size, 0);
    const last = parts.at(-1);
    this.skipped = last === undefined ? 0 : last.offset + last.size - this.size;
  }

  /** The bytes from `start` on, without `end`. The files are closed at its end, however it ends. */
  read(start: number, end: number): Readable {
    const bytes = Readable.from(this.#bytes(start, end), { objectMode: false });
    // Of a reader that left before the first byte the generator never runs, nor does its end.
    return bytes.on('close', () => void this.close());
  }

  async *#bytes(start: number, end: number): AsyncIterable<Buffer> {
    let at = 0;
    for (const { file, size } of this.#parts) {
      const [from, to] = [Math.max(0, start - at), Math.min(size, end - at)];
      at += size;
      if (from >= to) continue;
      const stream = file.createReadStream({ start: from, end: to - 1, autoClose: false });
      let missing = to - from;
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        missing -= chunk.length;
        yield chunk;
      }
      // Its length was told: a whole answer must not look like one that goes on, nor the next one like its rest.
      if (missing > 0) throw new Error(`a log was cut while it was read: ${missing} bytes are gone`);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#parts.map(({ file }) => file.close().catch(() => {})));
  }
}

/**
 * Opens it. Undefined where there is none here, or none that is a log of this attempt: the path comes from the database,
 * and must not make this process read other files to whoever has a token.
 */
export async function openOutputFile(attempt: Attempt): Promise<OutputFile | undefined> {
  const { log_path: path, log_host: host } = attempt;
  if (path === null || host !== hostname() || !isLogOf(attempt, path)) return undefined;
  // The folder may not be a link to another place. What is above it may: a log folder that was moved.
  const folder = await realpath(dirname(path)).catch(() => null);
  if (!folder?.endsWith(`/issues/${attempt.issue_id}`)) return undefined;
  const parts: Part[] = [];
  for (const piece of await logPieces(path)) {
    const part = await openPart(piece.path, piece.offset);
    if (part) parts.push(part);
  }
  return parts.length === 0 ? undefined : new OutputFile(withoutOverlap(parts));
}

function isLogOf({ issue_id, attempt }: Attempt, path: string): boolean {
  return path.startsWith('/') && normalize(path) === path && path.endsWith(`/issues/${issue_id}/${attempt}.log`);
}

/** The worker's account may be another one, which then may put what it likes into its folder: no links, no devices. */
async function openPart(path: string, offset: number): Promise<Part | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (stat.isFile() && Number.isSafeInteger(offset)) return { file, offset, size: stat.size };
    await file.close();
  } catch {} // dropped meanwhile, or not ours to read
  return undefined;
}

/** The head may have grown since the segments were listed; nothing is told twice. */
function withoutOverlap(parts: readonly Part[]): Part[] {
  return parts.map((part, i) => {
    const next = parts[i + 1];
    return next ? { ...part, size: Math.max(0, Math.min(part.size, next.offset - part.offset)) } : part;
  });
}
