/** An attempt's output as lines, each with the colours it begins with; it grows at its end. */
import { PLAIN, plainText, type Style, styleAfter } from '../text/ansi.js';

export interface Line {
  readonly text: string;
  readonly style: Style;
  /** The page's own words, not the command's. */
  readonly note: boolean;
}

/** A browser lays out some 17 million pixels at most: 18 to a line. What is beyond goes, from the head. */
const MOST_LINES = 800_000;
/** So much stays when it is too much: dropping line by line would move all of them each time. */
const KEPT = 0.9;

export class LineStore {
  private texts: string[] = [];
  private styles: Style[] = [];
  private notes = new Set<number>();
  private open = false;
  /** Lines that were dropped from the head. */
  dropped = 0;

  constructor(private readonly most = MOST_LINES) {}

  get length(): number {
    return this.texts.length;
  }

  at(index: number): Line {
    return {
      text: this.texts[index] ?? '',
      style: this.styles[index] ?? PLAIN,
      note: this.notes.has(index + this.dropped),
    };
  }

  /** Adds what the command has written: the last line may be half of one. */
  append(text: string): void {
    if (text === '') return;
    const parts = text.split('\n');
    const rest = parts.pop() as string;
    for (const part of parts) {
      this.extend(part);
      this.open = false;
    }
    if (rest !== '') this.extend(rest);
    if (this.texts.length > this.most) this.drop();
  }

  /** A line of our own in between, as where something was left out. */
  note(text: string): void {
    this.open = false;
    this.notes.add(this.texts.length + this.dropped);
    this.push(text);
    this.open = false;
  }

  /** Indexes of lines from `from` on that hold the words, in any case. */
  find(words: string, from = 0, most = 10_000): number[] {
    const wanted = words.toLowerCase();
    const found: number[] = [];
    if (wanted === '') return found;
    for (let index = from; index < this.texts.length && found.length < most; index++) {
      if (
        plainText(this.texts[index] as string)
          .toLowerCase()
          .includes(wanted)
      )
        found.push(index);
    }
    return found;
  }

  private extend(part: string): void {
    if (this.open) this.texts[this.texts.length - 1] += part;
    else this.push(part);
    this.open = true;
  }

  private push(text: string): void {
    const last = this.texts.length - 1;
    const style = last < 0 ? PLAIN : styleAfter(this.texts[last] as string, this.styles[last] as Style);
    this.texts.push(text);
    this.styles.push(style);
  }

  private drop(): void {
    const gone = this.texts.length - Math.floor(this.most * KEPT);
    this.texts.splice(0, gone);
    this.styles.splice(0, gone);
    this.dropped += gone;
  }
}
