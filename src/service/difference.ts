/** What changes between two texts, line by line. Pure. */

export interface Line {
  readonly sign: '+' | '-' | ' ';
  readonly text: string;
}

/** Unchanged lines that are shown around a change. */
const AROUND = 2;

/** The changed lines with some around them; empty where nothing changes. The longest common subsequence: files are short. */
export function difference(before: string, after: string): Line[] {
  if (before === after) return [];
  return nearChanges(align(linesOf(before), linesOf(after)));
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

function align(old: readonly string[], now: readonly string[]): Line[] {
  const common = lengths(old, now);
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      lines.push({ sign: ' ', text: old[i] as string });
      i += 1;
      j += 1;
    } else if (j === now.length || (i < old.length && at(common, i + 1, j) >= at(common, i, j + 1))) {
      lines.push({ sign: '-', text: old[i++] as string });
    } else lines.push({ sign: '+', text: now[j++] as string });
  }
  return lines;
}

/** [i][j]: how many lines old from i and now from j have in common. */
function lengths(old: readonly string[], now: readonly string[]): number[][] {
  const table = Array.from({ length: old.length + 1 }, () => new Array<number>(now.length + 1).fill(0));
  for (let i = old.length - 1; i >= 0; i--)
    for (let j = now.length - 1; j >= 0; j--)
      (table[i] as number[])[j] =
        old[i] === now[j] ? at(table, i + 1, j + 1) + 1 : Math.max(at(table, i + 1, j), at(table, i, j + 1));
  return table;
}

function at(table: readonly (readonly number[])[], i: number, j: number): number {
  return table[i]?.[j] ?? 0;
}

function nearChanges(lines: readonly Line[]): Line[] {
  const changed = lines.flatMap(({ sign }, index) => (sign === ' ' ? [] : [index]));
  return lines.filter((_, index) => changed.some((other) => Math.abs(other - index) <= AROUND));
}
