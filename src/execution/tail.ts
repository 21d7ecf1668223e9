/** The end of a command's output, as text that Postgres takes. */
import { open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** A part of the output on disk: `offset` is where it begins in the stream that the command wrote. */
export interface LogPiece {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

/** Between the log's name and the offset of a segment: `7.log.tail-50331648`. */
export const SEGMENT = '.tail-';

/**
 * Cuts to the last `limit` bytes on a UTF-8 boundary, drops NUL (Postgres refuses it in text) and replaces broken
 * sequences. The result is never longer than `limit` bytes.
 */
export function cleanTail(bytes: Buffer, limit: number): string {
  const text = lastBytes(bytes, limit).toString('utf8').replaceAll('\0', '');
  // A broken byte became U+FFFD, three bytes: binary output would grow to three times the limit.
  return lastBytes(Buffer.from(text), limit).toString('utf8');
}

/** The pieces of a log in order: the head, then the newest segments. Between two that do not touch, output was dropped. */
export async function logPieces(logPath: string): Promise<LogPiece[]> {
  const prefix = basename(logPath) + SEGMENT;
  const names = await readdir(dirname(logPath)).catch(() => []);
  const segments = names
    .filter((name) => name.startsWith(prefix))
    .map((name) => ({ path: join(dirname(logPath), name), offset: Number(name.slice(prefix.length)) }))
    .sort((a, b) => a.offset - b.offset);
  const pieces = await Promise.all([{ path: logPath, offset: 0 }, ...segments].map(measure));
  return pieces.filter((piece) => piece !== null);
}

/** The last `limit` bytes of a log and its segments, cleaned; empty where there is none. Never throws. */
export async function readTail(logPath: string, limit: number): Promise<string> {
  const parts: Buffer[] = [];
  let missing = limit + 1; // one byte more tells whether a character was cut
  let next: LogPiece | undefined;
  for (const piece of (await logPieces(logPath)).reverse()) {
    if (missing === 0 || (next && piece.offset + piece.size !== next.offset)) break;
    const part = await readEnd(piece, missing).catch(() => Buffer.alloc(0));
    parts.unshift(part);
    missing -= part.length;
    next = piece;
  }
  return cleanTail(Buffer.concat(parts), limit);
}

async function measure(piece: { path: string; offset: number }): Promise<LogPiece | null> {
  return stat(piece.path).then(
    ({ size }) => ({ ...piece, size }),
    () => null, // dropped meanwhile by the one who writes
  );
}

async function readEnd(piece: LogPiece, most: number): Promise<Buffer> {
  const wanted = Math.min(most, piece.size);
  const file = await open(piece.path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(wanted), 0, wanted, piece.size - wanted);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function lastBytes(bytes: Buffer, limit: number): Buffer {
  if (bytes.length <= limit) return bytes;
  let from = bytes.length - limit;
  // 10xxxxxx continues a character whose beginning was cut off; there are at most three of them.
  for (let i = 0; i < 3 && ((bytes[from] ?? 0) & 0xc0) === 0x80; i++) from++;
  return bytes.subarray(from);
}
