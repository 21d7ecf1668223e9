/** Texts in columns of a terminal: cut, padded and wrapped by the width that a terminal gives them. Safe text comes in. */
import stringWidth from 'string-width';

const PLAIN = /^[\x20-\x7e]*$/;
let segmenter: Intl.Segmenter | undefined;

/** How many columns a text takes: two for a wide character, none for a mark that sits on another. */
export function widthOf(text: string): number {
  return PLAIN.test(text) ? text.length : stringWidth(text);
}

/** The text in at most `width` columns; an ellipsis marks the cut. */
export function cut(text: string, width: number): string {
  if (width <= 0) return '';
  const start = text.slice(0, most(width));
  return start === text && widthOf(text) <= width ? text : `${head(start, width - 1)}…`;
}

/** The end of the text, in at most `width` columns. */
export function tailOf(text: string, width: number): string {
  const segments = segmentsOf(text);
  while (segments.length > 0 && widthOf(segments.join('')) > width) segments.shift();
  return segments.join('');
}

/** The text in exactly `width` columns: cut, or filled up with blanks. */
export function padded(text: string, width: number): string {
  const short = cut(text, width);
  return short + ' '.repeat(Math.max(0, width - widthOf(short)));
}

/** The line as rows of at most `width` columns; an empty line is one empty row. */
export function wrapped(line: string, width: number): string[] {
  const rows: string[] = [];
  let rest = line;
  do {
    // One that is wider than the whole row has to go somewhere.
    const row = head(rest, width) || (segmentsOf(rest.slice(0, most(1)))[0] ?? '');
    rows.push(row);
    rest = rest.slice(row.length);
  } while (rest !== '');
  return rows;
}

/** Tab stops stand every eight columns; what comes after a wide character may be off, which is only a matter of looks. */
export function withoutTabs(line: string): string {
  if (!line.includes('\t')) return line;
  return line.split('\t').reduce((shown, part) => shown + ' '.repeat(8 - (shown.length % 8)) + part);
}

/** Of a line of megabytes no more is measured than can be shown: a character with its marks rarely exceeds eight units. */
function most(width: number): number {
  return 8 * width + 8;
}

/** As much of the beginning as fits, whole characters only. */
function head(text: string, width: number): string {
  if (width <= 0) return '';
  // One more than fits: it may be a mark on the last one.
  const start = text.slice(0, width + 1);
  if (PLAIN.test(start)) return start.slice(0, width);
  let taken = 0;
  let end = 0;
  for (const segment of segmentsOf(text.slice(0, most(width)))) {
    taken += stringWidth(segment);
    if (taken > width) break;
    end += segment.length;
  }
  return text.slice(0, end);
}

function segmentsOf(text: string): string[] {
  segmenter ??= new Intl.Segmenter();
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}
