/** Reads the log of an attempt on this host as it grows: its end first, then what is added. */
import { open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { type LogPiece, logPieces } from '../execution/tail.js';

/** So much is read at a time; of more the newest. */
const MOST_BYTES = 256 * 1024;

export class OutputReader {
  readonly #path: string;
  readonly #decoder = new StringDecoder('utf8');
  /** How far the command's output has been read, in bytes. */
  #position = 0;
  #begun = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** What was added since; a line of its own says what is left out. @returns null where there is no file */
  async read(): Promise<string | null> {
    const pieces = await logPieces(this.#path);
    const last = pieces.at(-1);
    if (!last) return this.#begun ? '' : null;
    const from = Math.max(this.#position, last.offset + last.size - MOST_BYTES);
    let text = this.#jump(from, this.#begun ? 'left out' : 'before this are not shown; see issues logs');
    this.#begun = true;
    for (const piece of pieces) {
      if (piece.offset + piece.size <= this.#position) continue;
      text += this.#jump(Math.max(this.#position, piece.offset), 'were dropped here (--output-limit)');
      const bytes = await readFrom(piece, this.#position - piece.offset).catch(ifGone);
      if (bytes === null) break;
      this.#position += bytes.length;
      text += this.#decoder.write(text === '' ? bytes : fromCharacter(bytes));
    }
    return text;
  }

  #jump(to: number, why: string): string {
    const bytes = to - this.#position;
    this.#position = to;
    if (bytes <= 0) return '';
    // What is left of a character whose rest is not read.
    const rest = this.#decoder.end();
    return `${rest}${rest === '' && bytes === to ? '' : '\n'}[${bytes.toLocaleString('en-US')} bytes ${why}]\n`;
  }
}

async function readFrom(piece: LogPiece, start: number): Promise<Buffer> {
  const wanted = Math.min(MOST_BYTES, piece.size - start);
  const file = await open(piece.path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(wanted), 0, wanted, start);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Removed between the look and the reading: the next look finds the gap. */
function ifGone(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

/** Without the end of a character whose beginning was left out; there are at most three bytes of it. */
function fromCharacter(bytes: Buffer): Buffer {
  let from = 0;
  while (from < 3 && ((bytes[from] ?? 0) & 0xc0) === 0x80) from++;
  return bytes.subarray(from);
}
