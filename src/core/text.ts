/** Text that came from outside, made safe for one line of a log or a terminal. Issue text is data, whatever it holds. */

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

// C0 and C1 controls (escape sequences begin with one), the line separators that some viewers break at, the marks that
// turn the direction of writing, with which a line can be made to read as something else, halves of a surrogate pair, and
// what no terminal shows: in it a text can hide words that only the command reads. Four of those are everyday: the joiners
// of Persian and of emoji, and the two that choose between text and emoji.
const CONTROL = String.raw`\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufff9-\ufffb`;
const HIDDEN = String.raw`(?![\u200c\u200d\ufe0e\ufe0f])\p{Default_Ignorable_Code_Point}|\p{Surrogate}`;
const UNSAFE = new RegExp(`[${CONTROL}\\t\\n]|${HIDDEN}`, 'gu');
const UNSAFE_KEEPING_LINES = new RegExp(`[${CONTROL}]|${HIDDEN}`, 'gu');

function shown(char: string): string {
  return NAMED[char] ?? escaped(char);
}

/** `\u202e`; `\u{e0041}` where four digits do not do. */
function escaped(char: string): string {
  const code = (char.codePointAt(0) as number).toString(16).padStart(4, '0');
  return code.length === 4 ? `\\u${code}` : `\\u{${code}}`;
}

/** Everything on one line: control characters, line breaks and what can't be seen are shown escaped. */
export function oneLine(text: string): string {
  return text.replace(UNSAFE, shown);
}

/** For showing longer text: line breaks and tabs stay, every other control character is shown escaped. */
export function printable(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE_KEEPING_LINES, shown);
}

/** JSON that can go to a terminal: JSON.stringify leaves C1 controls as they are, among them the 8-bit escape. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(UNSAFE_KEEPING_LINES, (char) =>
    // By halves: JSON knows no \u{...}.
    [...Array(char.length).keys()].map((i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}

/** The first line that is not blank, escaped and cut to `length` characters (an ellipsis marks the cut). */
export function firstLine(text: string, length: number): string {
  const line =
    text
      .split('\n')
      .find((candidate) => candidate.trim() !== '')
      ?.trim() ?? '';
  // Of a line of megabytes no more is looked at than can be shown: a character takes two units at most.
  const chars = [...oneLine(line.slice(0, 2 * length + 2))];
  return chars.length <= length ? chars.join('') : `${chars.slice(0, length - 1).join('')}…`;
}

/** The text with `***` for each of the secrets. */
export function masked(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => (secret === '' ? shown : shown.replaceAll(secret, '***')), text);
}
