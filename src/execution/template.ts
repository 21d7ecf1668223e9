/**
 * A line of words, taken apart as a shell does: spaces separate, backslash and quotes protect, nothing is expanded.
 * shlex (npm), which was here before, reads an escaped backslash beside quotes as if it stood inside them: it makes one
 * backslash of `\\\\""`, where a shell makes two.
 */

const PART =
  /[ \t\r\n]+|\\(?<escaped>.)|'(?<single>[^']*)'|"(?<double>[^"\\]*(?:\\.[^"\\]*)*)"|(?<plain>[^ \t\r\n\\'"]+)/gsy;

/** The words of a line. @throws Error where a quote stays open, or the line ends with a backslash */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let at = 0;
  for (const { 0: part, groups = {} } of line.matchAll(PART)) {
    at += part.length;
    const text = textOf(groups);
    if (text !== null) word = (word ?? '') + text;
    else if (word !== null && part !== '\\\n') {
      words.push(word);
      word = null;
    }
  }
  if (at < line.length)
    throw new Error(line.at(at) === '\\' ? 'it ends with a backslash' : `a ${line.at(at)} is not closed`);
  return word === null ? words : [...words, word];
}

/** What a part adds to its word; null for spaces, and for a line that goes on in the next one. */
function textOf({ escaped, single, double, plain }: Record<string, string | undefined>): string | null {
  if (escaped !== undefined) return escaped === '\n' ? null : escaped;
  return single ?? double?.replace(/\\([$`"\\\n])/g, (_, char) => (char === '\n' ? '' : char)) ?? plain ?? null;
}
