/**
 * A terminal's colours as classes. What is no colour is taken out: a page that shows output must do nothing that the output
 * says. 256 and 16 million colours become the nearest of sixteen, which are legible in both themes.
 */

export interface Style {
  /** 0 to 15, null = the text's own. */
  readonly fg: number | null;
  readonly bg: number | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly strike: boolean;
  readonly inverse: boolean;
}

export interface Piece {
  readonly text: string;
  /** Space separated, empty for plain text. */
  readonly className: string;
}

export const PLAIN: Style = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
};

// CSI sequences; OSC, DCS, PM and APC up to their end (or that of the line); the two-character ones; a lone escape.
const ESCAPES =
  /\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|\x9b[0-?]*[ -/]*[@-~]?/g;
const SGR = /^(?:\x1b\[|\x9b)([\d;:]*)m$/;
const MOST_CODES = 64;
// What has no shape of its own; a tab has.
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
// Turns the order of what follows around, unseen: "exe.txt" for "txt.exe".
const BIDI = /[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g;

/** The text that a terminal would show: no escapes, no controls, and of a line that was written over, the last. */
export function plainText(line: string): string {
  const shown = overwritten(line);
  // Most lines hold none of it, and this is called for all of 100,000 when somebody searches.
  if (!/[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(shown)) return shown;
  return visible(shown.replace(ESCAPES, ''));
}

/** The style at the line's end, where it begins with `style`: the start of the next. */
export function styleAfter(line: string, style: Style): Style {
  if (!line.includes('\x1b') && !line.includes('\x9b')) return style;
  let now = style;
  for (const [sequence] of line.matchAll(ESCAPES)) now = restyle(sequence, now);
  return now;
}

/** A line taken apart, as it looks where it begins with `style`. */
export function piecesOf(line: string, style: Style): Piece[] {
  const shown = overwritten(line);
  const pieces: Piece[] = [];
  let now = styleAfter(line.slice(0, line.length - shown.length), style);
  let from = 0;
  const push = (to: number) => {
    const text = visible(shown.slice(from, to));
    const className = classOf(now);
    const last = pieces.at(-1);
    if (text === '') return;
    if (last?.className === className) pieces[pieces.length - 1] = { text: last.text + text, className };
    else pieces.push({ text, className });
  };
  for (const match of shown.matchAll(ESCAPES)) {
    push(match.index);
    now = restyle(match[0], now);
    from = match.index + match[0].length;
  }
  push(shown.length);
  return pieces;
}

/** Of "10%\r20%\r30%" the last: a progress bar in a terminal is written over and over. */
function overwritten(line: string): string {
  const end = line.endsWith('\r') ? line.length - 1 : line.length;
  const at = line.lastIndexOf('\r', end - 1);
  return end === line.length && at < 0 ? line : line.slice(at + 1, end);
}

/** Controls as their pictures, so that what is odd is seen; a bell or backspace is no text. */
function visible(text: string): string {
  return text
    .replace(CONTROLS, (control) => {
      const code = control.charCodeAt(0);
      return code === 7 || code === 8 || code > 0x7f ? '' : String.fromCharCode(code === 0x7f ? 0x2421 : 0x2400 + code);
    })
    .replace(BIDI, '');
}

function restyle(sequence: string, style: Style): Style {
  const codes = SGR.exec(sequence)?.[1];
  if (codes === undefined) return style;
  // No terminal takes as many, and a line of megabytes may be one sequence.
  const list = codes.split(/[;:]/, MOST_CODES).map((code) => (code === '' ? 0 : Number(code)));
  let now: Style = style;
  for (let at = 0; at < list.length; at++) {
    const code = list[at] as number;
    if (code === 38 || code === 48) {
      const { color, used } = extended(list.slice(at + 1, at + 5));
      at += used;
      now = code === 38 ? { ...now, fg: color } : { ...now, bg: color };
    } else now = withCode(code, now);
  }
  return isPlain(now) ? PLAIN : now;
}

function withCode(code: number, style: Style): Style {
  if (code === 0) return PLAIN;
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, dim: true };
  if (code === 3) return { ...style, italic: true };
  if (code === 4) return { ...style, underline: true };
  if (code === 7) return { ...style, inverse: true };
  if (code === 9) return { ...style, strike: true };
  if (code === 22) return { ...style, bold: false, dim: false };
  if (code === 23) return { ...style, italic: false };
  if (code === 24) return { ...style, underline: false };
  if (code === 27) return { ...style, inverse: false };
  if (code === 29) return { ...style, strike: false };
  if (code >= 30 && code <= 37) return { ...style, fg: code - 30 };
  if (code >= 90 && code <= 97) return { ...style, fg: code - 82 };
  if (code >= 40 && code <= 47) return { ...style, bg: code - 40 };
  if (code >= 100 && code <= 107) return { ...style, bg: code - 92 };
  if (code === 39) return { ...style, fg: null };
  if (code === 49) return { ...style, bg: null };
  return style;
}

/** What follows 38 or 48: `5;n`, or `2;r;g;b`. */
function extended([mode, ...rest]: readonly number[]): { color: number | null; used: number } {
  if (mode === 5) return { color: rest[0] === undefined ? null : nearestOf256(rest[0]), used: 2 };
  if (mode === 2) return { color: nearest(rest[0] ?? 0, rest[1] ?? 0, rest[2] ?? 0), used: 4 };
  return { color: null, used: 1 };
}

function nearestOf256(n: number): number | null {
  if (n < 16) return n;
  if (n >= 232) return nearest(8 + (n - 232) * 10, 8 + (n - 232) * 10, 8 + (n - 232) * 10);
  const level = (part: number) => (part === 0 ? 0 : 55 + part * 40);
  const cube = n - 16;
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

/** By hue: which of red, green and blue are at work, and bright where the strongest is. Greys are four steps. */
function nearest(r: number, g: number, b: number): number | null {
  const most = Math.max(r, g, b);
  const least = Math.min(r, g, b);
  if (most - least < 40) {
    if (most < 50) return 0;
    if (most < 150) return 8;
    return most < 225 ? 7 : 15;
  }
  const half = (most + least) / 2;
  const hue = (r > half ? 1 : 0) | (g > half ? 2 : 0) | (b > half ? 4 : 0);
  return most > 210 ? hue + 8 : hue;
}

function classOf(style: Style): string {
  if (style === PLAIN) return '';
  const names: string[] = [];
  if (style.fg !== null) names.push(`fg-${style.fg}`);
  if (style.bg !== null) names.push(`bg-${style.bg}`);
  for (const name of ['bold', 'dim', 'italic', 'underline', 'strike', 'inverse'] as const) {
    if (style[name]) names.push(name);
  }
  return names.join(' ');
}

/** One object for all plain lines: 100,000 of them keep a reference each. */
function isPlain(style: Style): boolean {
  return classOf(style) === '';
}
