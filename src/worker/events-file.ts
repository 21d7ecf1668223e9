/** The file that CAPE_EVENTS_FILE names, read on from where it was read last. */
import { closeSync, constants, fstatSync, openSync, readSync, stat, statSync } from 'node:fs';
import { type ChildEvent, eventOfJson, warning } from './child-events.js';

/** Bytes that are looked at in one go; a line that is longer is left out, and said to be. */
const MOST = 128 * 1024;

export interface Lines {
  readonly events: readonly ChildEvent[];
  /** Where to go on. */
  readonly next: number;
  /** In the middle of a line that is too long. */
  readonly within: boolean;
}

export class EventsFile {
  readonly #path: string | null;
  #size = 0;
  #position = 0;
  /** What follows up to the next line break belongs to a line that was left out. */
  #within = false;
  /** What there was at the last reading ended without a line break. */
  #waitsAt = -1;
  #looking = false;
  #last = false;
  #held: { readonly at: number; readonly bytes: Buffer } | null = null;

  /** @param path null: there is none */
  constructor(path: string | null) {
    this.#path = path;
  }

  /** More of it is there than was read. */
  get grown(): boolean {
    return this.#size > this.#position && this.#size !== this.#waitsAt;
  }

  /**
   * Not at once: a mount that hangs must not keep the worker from renewing leases. What can't be looked at (a link to
   * itself, EIO) has grown by nothing.
   */
  look(onGrown: () => void): void {
    if (this.#looking || this.#last || this.#path === null) return;
    this.#looking = true;
    stat(this.#path, (error, stats) => {
      this.#looking = false;
      if (error || this.#last) return;
      this.#size = stats.size;
      if (this.grown) onGrown();
    });
  }

  /** For the last time, and at once: the command has ended. */
  lookLast(): void {
    if (this.#path === null) return;
    this.#last = true;
    try {
      this.#size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    } catch {
      // As above.
    }
  }

  /** The lines that are complete; with `last` also one at the end without a line break. */
  read(last = false): Lines {
    const nothing = { events: [], next: this.#position, within: this.#within };
    if (!this.grown) return nothing;
    const text = this.#text();
    if (text === null) {
      this.#waitsAt = this.#size;
      return nothing;
    }
    // Less than was seen is there: the file has become shorter, or not all of it was held.
    if (text.length < MOST) this.#size = this.#position + text.length;
    const final = last && this.#position + text.length >= this.#size;
    const end = final ? text.length : text.lastIndexOf(0x0a) + 1;
    if (end === 0 && text.length < MOST) {
      this.#waitsAt = this.#position + text.length;
      return nothing;
    }
    if (end === 0) {
      const events = this.#within ? [] : [warning(`CAPE_EVENTS_FILE: a line is longer than ${MOST} bytes, left out`)];
      return { events, next: this.#position + text.length, within: true };
    }
    const lines = text.subarray(0, end).toString('utf8').split('\n');
    if (this.#within) lines.shift();
    const events = lines.filter((line) => line.trim() !== '').map(eventOfJson);
    return { events, next: this.#position + end, within: false };
  }

  done({ next, within }: Lines): void {
    this.#position = next;
    this.#within = within;
  }

  /** What is there now is not told. */
  skip(): void {
    this.#position = this.#size;
    this.#within = false;
  }

  /** What is left of it is kept in memory: the file is about to be removed. */
  hold(): void {
    const bytes = this.#text() ?? Buffer.alloc(0);
    this.#held = { at: this.#position, bytes };
    this.#size = this.#position + bytes.length;
  }

  /** The command may have put anything there: opened without blocking, and read only if a plain file. */
  #text(): Buffer | null {
    if (this.#held) return this.#held.bytes.subarray(this.#position - this.#held.at);
    if (this.#path === null) return null;
    let fd: number | null = null;
    try {
      fd = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
      if (!fstatSync(fd).isFile()) return null;
      const buffer = Buffer.alloc(Math.min(MOST, this.#size - this.#position));
      return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, this.#position));
    } catch {
      // Gone, or not ours to read: then it tells nothing.
      return null;
    } finally {
      if (fd !== null) closeSync(fd);
    }
  }
}
