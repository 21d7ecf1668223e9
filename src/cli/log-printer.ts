/** Copies an attempt's log to the terminal or a pipe, as far as it is written; again later for what was added. */
import { createReadStream } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { printable } from '../core/text.js';
import { type LogPiece, logPieces } from '../execution/tail.js';

export class LogPrinter {
  readonly #out: NodeJS.WriteStream;
  readonly #raw: boolean;
  readonly #say: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  /** A carriage return at the end of what was read: alone it is shown escaped, before a line feed it is the line's end. */
  #held = '';
  /** How far the stream of the command's output has been printed, in bytes. */
  #position = 0;

  /**
   * @param raw byte for byte; else with control characters shown escaped: a command's output, and through it an issue's
   *   text, must not be able to steer a terminal
   * @param say told where output was dropped; never mixed into the output itself
   */
  constructor(out: NodeJS.WriteStream, raw: boolean, say: (line: string) => void) {
    this.#out = out;
    this.#raw = raw;
    this.#say = say;
  }

  /** Prints what has not been printed yet. @returns false where there is no file */
  async print(path: string): Promise<boolean> {
    const pieces = await logPieces(path);
    for (const piece of pieces) {
      if (piece.offset + piece.size <= this.#position) continue;
      if (piece.offset > this.#position) {
        this.#say(`${piece.offset - this.#position} bytes were dropped here (--output-limit)`);
        this.#position = piece.offset;
      }
      if (!(await this.#copy(piece))) break;
    }
    return pieces.length > 0;
  }

  /** Prints what is left of a character whose rest never came. */
  end(): void {
    if (!this.#raw) this.#out.write(printable(this.#held + this.#decoder.end()));
    this.#held = '';
  }

  /** @returns false where the piece was removed meanwhile: the next look finds the gap that it left */
  async #copy(piece: LogPiece): Promise<boolean> {
    try {
      for await (const chunk of createReadStream(piece.path, { start: this.#position - piece.offset })) {
        await this.#write(chunk as Buffer);
        this.#position += (chunk as Buffer).length;
      }
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  async #write(chunk: Buffer): Promise<void> {
    const more = this.#out.write(this.#raw ? chunk : this.#shown(chunk));
    if (!more) await new Promise((resolve) => this.#out.once('drain', resolve));
  }

  #shown(chunk: Buffer): string {
    const text = this.#held + this.#decoder.write(chunk);
    this.#held = text.endsWith('\r') ? '\r' : '';
    return printable(text.slice(0, text.length - this.#held.length));
  }
}
