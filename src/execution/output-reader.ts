/** Reads the output of a run from where it was read last, over the head of its log and the segments beside it. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { logPieces } from './tail.js';

export interface Chunk {
  /** Where it begins in what the command has written; later than asked for where output was dropped. */
  readonly offset: number;
  readonly bytes: Buffer;
}

export class OutputReader {
  readonly #logPath: string;
  /** Kept open: a file opened for each look took three times as long as the look. */
  #piece: { readonly file: FileHandle; readonly offset: number } | null = null;

  constructor(logPath: string) {
    this.#logPath = logPath;
  }

  /** Up to `most` bytes from `position` on; null where there are none. @throws what the file system does */
  async read(position: number, most: number): Promise<Chunk | null> {
    const here = await this.#readHere(position, most);
    if (here) return here;
    const pieces = await logPieces(this.#logPath);
    const next = pieces.find((piece) => piece.offset + piece.size > position);
    if (!next) return null;
    await this.close();
    try {
      this.#piece = { file: await open(next.path, constants.O_RDONLY), offset: next.offset };
    } catch (error) {
      // Dropped meanwhile by the one who writes: the next look finds what came after it.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    return this.#readHere(Math.max(position, next.offset), most);
  }

  async close(): Promise<void> {
    const piece = this.#piece;
    this.#piece = null;
    await piece?.file.close();
  }

  async #readHere(position: number, most: number): Promise<Chunk | null> {
    const piece = this.#piece;
    if (!piece || position < piece.offset) return null;
    const { buffer, bytesRead } = await piece.file.read(Buffer.allocUnsafe(most), 0, most, position - piece.offset);
    return bytesRead === 0 ? null : { offset: position, bytes: buffer.subarray(0, bytesRead) };
  }
}

/** How many of the bytes are whole characters; the rest is the beginning of one. */
export function wholeCharacters(bytes: Buffer): number {
  // A character has four bytes at most, so its first is among the last three where it is not whole.
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return size > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
