/** The output of an attempt as rows of the screen: made safe, wrapped, and no more kept than a person scrolls through. */
import { oneLine } from '../core/text.js';
import { withoutTabs, wrapped } from './top-cells.js';

/** Some hundred screens. */
const MOST_ROWS = 5000;
/** A line without an end is broken here: a progress bar may go on for ever. */
const LONGEST_LINE = 16_384;

// Colours and the clearing of a line, which is what programs decorate their output with. What else steers a terminal is
// shown escaped, as everywhere.
const DECORATION = /\u001b\[[0-9;:]*[mK]/g;

export class OutputText {
  #width: number;
  /** Safe, without their ends; the last one may go on. */
  #lines: string[] = [];
  #open = '';
  #rows: string[] = [];
  #first = 0;

  constructor(width: number) {
    this.#width = Math.max(1, width);
  }

  append(text: string): void {
    const pieces = (this.#open + text).split('\n');
    this.#open = pieces.pop() ?? '';
    while (this.#open.length > LONGEST_LINE) {
      pieces.push(this.#open.slice(0, LONGEST_LINE));
      this.#open = this.#open.slice(LONGEST_LINE);
    }
    for (const piece of pieces.slice(-MOST_ROWS)) this.#add(safe(piece));
    this.#forget();
  }

  /** Of another width the rows are other ones: they are counted anew. */
  resize(width: number): void {
    if (width === this.#width) return;
    const lines = this.#lines;
    this.#width = Math.max(1, width);
    [this.#lines, this.#rows, this.#first] = [[], [], 0];
    for (const line of lines) this.#add(line);
    this.#forget();
  }

  /** The rows that are kept, and the number of the first of them. */
  rows(): { readonly first: number; readonly rows: readonly string[] } {
    const open = this.#open === '' ? [] : wrapped(safe(this.#open), this.#width);
    return { first: this.#first, rows: [...this.#rows, ...open] };
  }

  #add(line: string): void {
    this.#lines.push(line);
    this.#rows.push(...wrapped(line, this.#width));
  }

  #forget(): void {
    this.#lines = this.#lines.slice(-MOST_ROWS);
    const tooMany = this.#rows.length - MOST_ROWS;
    if (tooMany <= 0) return;
    this.#rows = this.#rows.slice(tooMany);
    this.#first += tooMany;
  }
}

/** One line as a terminal would leave it: of what was written over itself the last is seen. */
function safe(line: string): string {
  const plain = line.replace(DECORATION, '');
  const last = plain.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  return oneLine(withoutTabs(last));
}
