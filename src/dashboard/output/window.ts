/** Which lines of many are to be drawn: the page holds those that can be seen and some around them, never all. */

export interface Window {
  /** Index of the first line drawn. */
  readonly first: number;
  /** Behind the last one drawn. */
  readonly end: number;
}

/** Lines above and below the visible ones: a wheel's notch stays within. */
const AROUND = 24;

/**
 * @param total lines there are
 * @param lineHeight pixels
 * @param top how far the list is scrolled, pixels; a browser's rubber band makes it negative
 * @param height what can be seen, pixels
 */
export function windowOf(total: number, lineHeight: number, top: number, height: number): Window {
  // In steps: a scroll by a pixel draws nothing anew.
  const seen = Math.floor(Math.max(0, top) / lineHeight / 8) * 8;
  const shown = Math.ceil(height / lineHeight) + 8;
  const first = Math.max(0, Math.min(seen - AROUND, total - shown));
  return { first, end: Math.min(total, Math.max(seen, first) + shown + AROUND) };
}

/** Where to scroll so that a line is in view; null where it is already. It comes to lie at a third of the height. */
export function scrollTo(line: number, lineHeight: number, top: number, height: number): number | null {
  const from = line * lineHeight;
  if (from >= top && from + lineHeight <= top + height) return null;
  return Math.max(0, Math.round(from - height / 3));
}
