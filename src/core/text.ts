/** Text that came from outside, made safe for one line of a log or a terminal. Issue text is data, whatever it holds. */

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

// C0 and C1 controls (escape sequences begin with one), the line separators that some viewers break at, and the marks
// that turn the direction of writing, with which a line can be made to read as something else.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const UNSAFE_KEEPING_LINES =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function shown(char: string): string {
  return NAMED[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Everything on one line: control characters and line breaks are shown escaped. */
export function oneLine(text: string): string {
  return text.replace(UNSAFE, shown);
}

/** For showing longer text: line breaks and tabs stay, every other control character is shown escaped. */
export function printable(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE_KEEPING_LINES, shown);
}

/** The first line that is not blank, escaped and cut to `length` characters (an ellipsis marks the cut). */
export function firstLine(text: string, length: number): string {
  const line = oneLine(
    text
      .split('\n')
      .find((candidate) => candidate.trim() !== '')
      ?.trim() ?? '',
  );
  const chars = [...line];
  return chars.length <= length ? line : `${chars.slice(0, length - 1).join('')}…`;
}
