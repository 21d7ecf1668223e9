/** What is still to be told of one running attempt: its output from the file, what it says of itself, within limits. */

import type { Claim } from '../core/issue.js';
import type { Told } from '../events/append.js';
import { monotonic } from '../execution/clock.js';
import { type Chunk, OutputReader, wholeCharacters } from '../execution/output-reader.js';
import type { AttemptFiles } from './attempt-files.js';
import { type ChildEvent, marksInBytes, type OpenLine, textOfOutput, warning } from './child-events.js';
import { EventsFile } from './events-file.js';
import { type Kept, OutputLimit, type Surplus, TAIL_RATE } from './output-limit.js';

/** Bytes of output in one event. */
const PIECE = 16 * 1024;
/** Bytes of one attempt in one round; what has ended may take more, since it takes them once. */
const TURN = 128 * 1024;
const LAST_TURN = 512 * 1024;
/** Past the head, further behind than this the flow is too fast to follow: what lies between is skipped. */
const FAR_BEHIND = 512 * 1024;
/** Of a handler, while the database is away. */
const MOST_HELD = 1000;
/** Where there was nothing to read, milliseconds. */
const NOTHING_MS = 500;
/** Events of its own that an attempt may tell; then one warning, and no more. */
const MOST_EVENTS = 20_000;

/** What the next statement is to append. Nothing counts as told before `done`. */
export interface Draft {
  readonly told: readonly Told[];
  readonly bytes: number;
  /** It is gone on after. @param before the number before its first event; null where none was written */
  done(before: number | null): void;
}

/**
 * What an event of kind `output` holds: bytes, and a text only while that is written as JSON. Texts that wait for an
 * answer outlive V8's young collections, and its young memory grows with what outlives them.
 */
class OutputData {
  readonly offset: number;
  readonly skipped?: number;
  readonly #bytes: Buffer;

  constructor({ offset, bytes }: Chunk, skipped: number) {
    this.offset = offset;
    this.#bytes = bytes;
    if (skipped > 0) this.skipped = skipped;
  }

  get text(): string {
    return textOfOutput(this.#bytes);
  }

  toJSON(): object {
    return { ...this, text: this.text };
  }
}

export class AttemptOutput {
  readonly claim: Claim;
  /** No statement before, on the monotonic clock: its lease was locked. */
  notBefore = 0;
  /** Its whole output has been told of, or never will be. */
  ended = false;
  /** Something of it could not be read. */
  spoiled = false;
  readonly #reader: OutputReader;
  readonly #file: EventsFile;
  readonly #limit: OutputLimit;
  /** Its files lie in a folder that is removed with its end. */
  readonly #spare: boolean;
  /** Bytes of output so far, as the keeper tells. */
  #size = 0;
  /** Bytes of it that have been told, or skipped. */
  #position = 0;
  /** Bytes before `#position` that are to be told as left out. */
  #skipped = 0;
  #open: OpenLine = '';
  #events = 0;
  #own: ChildEvent[] = [];
  #finalText: string | null = null;

  /**
   * @param files null: a handler's, which has none and tells by itself
   * @param limit bytes of output kept as events, half of them from its beginning
   */
  constructor(claim: Claim, files: AttemptFiles | null, limit: number) {
    this.claim = claim;
    this.#limit = new OutputLimit(limit);
    this.#reader = new OutputReader(files?.log ?? '');
    this.#file = new EventsFile(files?.events ?? null);
    this.#spare = files !== null && files.spare !== null;
  }

  /** What a handler tells: kept in memory, and so not without end. */
  tell(event: ChildEvent): void {
    if (event.kind === 'progress' && this.#own.at(-1)?.kind === 'progress') this.#own.pop();
    if (this.#own.length < MOST_HELD) this.#own.push(event);
  }

  grown(size: number): void {
    this.#size = Math.max(this.#size, size);
  }

  /** It runs no more. @param tail the end of its output; where that is all of it, the file need not be read */
  end(tail: string | null): void {
    this.ended = true;
    this.#file.lookLast();
    if (this.#spare) this.#file.hold();
    if (tail !== null && this.#position === 0 && Buffer.byteLength(tail) === this.#size) this.#finalText = tail;
  }

  /** There is something to tell. @param now the monotonic clock */
  due(now: number): boolean {
    const output = this.#backlog > 0 && (this.ended || this.#allowed(now) > 0);
    return now >= this.notBefore && (this.#file.grown || this.#own.length > 0 || output);
  }

  /** Bytes that it may send in one round. */
  get turn(): number {
    return this.ended ? LAST_TURN : TURN;
  }

  /** Also where it is not to be told yet. */
  get pending(): boolean {
    return this.#file.grown || this.#own.length > 0 || this.#backlog > 0;
  }

  /** Looks whether the command has told more in its events file. */
  look(onGrown: () => void): void {
    this.#file.look(onGrown);
  }

  /**
   * @param most bytes at most, to the next piece
   * @param turn bytes that are left of its turn, `most` among them
   */
  async draft(most: number, turn = most): Promise<Draft> {
    const now = monotonic();
    const lines = this.#file.read(this.ended);
    const taken = new Set(this.#own);
    const own = this.#limited(lastProgress([...taken, ...lines.events]));
    const limit = Math.min(turn, this.ended ? LAST_TURN : Math.min(TURN, this.#allowed(now)));
    const piece = await this.#piece(Math.min(most, limit), limit);
    const held = { id: this.claim.issue.id, token: this.claim.token };
    const marks = this.#limited(lastProgress(piece.marks));
    // The keeper counts what reached no file as well (a full disk): no look at once.
    if (piece.told.length === 0 && this.#backlog > 0 && !this.ended) this.notBefore = now + NOTHING_MS;
    const told: Told[] = [...piece.told, ...marks, ...own].map((event) => ({ ...held, ...event }));
    return {
      told,
      bytes: piece.end - piece.begin,
      done: (before) => {
        this.#file.done(lines);
        this.#own = this.#own.filter((event) => !taken.has(event));
        this.#events += marks.length + own.length;
        this.#position = piece.end;
        this.#skipped = piece.skipped;
        this.#open = piece.open;
        if (before === null) return;
        for (const [i, size] of piece.sizes.entries()) this.#limit.count({ ...size, seq: before + i + 1 }, now);
      },
    };
  }

  /** What is there can't be read. It is told as left out; where it is not the output, the events file is skipped. */
  leaveOut(): void {
    this.spoiled = true;
    if (this.#backlog === 0) this.#file.skip();
    this.#skipped += this.#backlog;
    this.#position = this.#size;
    this.#open = null;
  }

  /** What is to be deleted of what was told. */
  surplus(): Surplus | null {
    return this.#limit.surplus();
  }

  async close(): Promise<void> {
    this.ended = true;
    await this.#reader.close();
  }

  get #backlog(): number {
    return this.#size - this.#position;
  }

  #allowed(now: number): number {
    return this.#limit.allowed(now, this.#backlog, PIECE);
  }

  /** Reads on, and cuts what was read into events. */
  async #piece(most: number, turn: number) {
    const begin = this.#begin(turn);
    let skipped = this.#skipped + (begin - this.#position);
    let open = skipped > 0 ? null : this.#open;
    const told: { kind: 'output'; data: OutputData }[] = [];
    const sizes: Omit<Kept, 'seq'>[] = [];
    const marks: ChildEvent[] = [];
    let end = begin;
    while (end < this.#size && end - begin < most) {
      const chunk = await this.#characters(end);
      // Written to no file (a full disk), or dropped since: what is left of it is skipped.
      if (!chunk) {
        if (this.ended) end = this.#size;
        break;
      }
      if (chunk.offset > end) [skipped, open] = [skipped + chunk.offset - end, null];
      const { bytes } = chunk;
      if (bytes.length === 0) break;
      end = chunk.offset + bytes.length;
      told.push({ kind: 'output', data: new OutputData(chunk, skipped) });
      sizes.push({ bytes: bytes.length, skipped });
      skipped = 0;
      const found = marksInBytes(bytes, open);
      marks.push(...found.events);
      open = found.open;
    }
    return { begin, end, told, sizes, marks, open, skipped };
  }

  /**
   * Whole characters, none where the rest of one is still to come. A file ends at a byte, wherever in a character that
   * is: the rest is then read from the next, and where that is lost, the character is broken.
   */
  async #characters(position: number): Promise<Chunk | null> {
    const told = this.#size; // so far all is in the files, or lost; past it more may come while we read
    let chunk = await this.#chunk(position);
    while (chunk) {
      const { offset, bytes } = chunk;
      const next = offset + bytes.length;
      const whole = this.ended && next >= this.#size ? bytes.length : wholeCharacters(bytes);
      if (whole > 0 || next >= told) return { offset, bytes: bytes.subarray(0, whole) };
      const more = await this.#chunk(next);
      if (more?.offset !== next) return chunk;
      chunk = { offset, bytes: Buffer.concat([bytes, more.bytes]) };
    }
    return null;
  }

  async #chunk(position: number): Promise<Chunk | null> {
    if (this.#finalText !== null && position < this.#size) {
      const all = Buffer.from(this.#finalText);
      return { offset: position, bytes: all.subarray(position, position + PIECE) };
    }
    return this.#reader.read(position, PIECE);
  }

  /** Where to read on: further down where the flow is too fast to follow, or where the rest is more than its last turn. */
  #begin(turn: number): number {
    const behind = this.#backlog;
    const past = this.#limit.pastHead;
    const further = Math.max(this.#position, this.#size - TAIL_RATE);
    if (past && (behind > FAR_BEHIND || (this.ended && behind > turn))) return further;
    if (this.ended && behind > LAST_TURN) return further;
    return this.#position;
  }

  /** A command that tells without end is told to stop, once. */
  #limited(events: readonly ChildEvent[]): readonly ChildEvent[] {
    const room = MOST_EVENTS - this.#events;
    if (events.length <= room) return events;
    if (room <= 0) return [];
    return [...events.slice(0, room - 1), warning(`more than ${MOST_EVENTS} events: the rest is left out`)];
  }
}

/** Of several in one go only the last is worth a row. */
function lastProgress(events: readonly ChildEvent[]): readonly ChildEvent[] {
  const last = events.findLastIndex(({ kind }) => kind === 'progress');
  return events.filter(({ kind }, i) => kind !== 'progress' || i === last);
}

/** For a database that has another encoding, or refuses what a command tells for a reason of its own. */
export function plain(told: Told): Told {
  if (told.kind !== 'output')
    return { ...told, kind: 'log', data: { level: 'warn', message: `${told.kind}: can't be stored` } };
  const data = told.data as OutputData;
  return { ...told, data: { ...data, text: data.text.replace(/[^\n\r\t -~]/g, '?') } };
}
