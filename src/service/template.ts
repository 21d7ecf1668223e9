/**
 * Filling in the files of daemons/: values for placeholders, and blocks for some hosts only.
 *
 *     #if system since-254          <!--if system-->
 *     User=@USER@                   <string>@USER@</string>
 *     #end                          <!--end-->
 *
 * A block stays where all its words hold. Blocks are not nested.
 */
import { readFileSync } from 'node:fs';

/** Two folders up both from `src/service` and from the built `dist/service`. */
const DAEMONS = new URL('../../daemons/', import.meta.url);

const MARK = /^\s*(?:#|<!--)(?:if (?<words>[a-z0-9 -]+?)|(?<end>end))(?:-->)?$/;

/** The text of a template as it lies in the package. */
export function readTemplate(name: string): string {
  return readFileSync(new URL(name, DAEMONS), 'utf8').replace(/\r\n/g, '\n');
}

/**
 * @param values for each placeholder its text, already escaped for where it stands
 * @param holds whether a block with this word stays
 * @throws Error for a placeholder without a value, or a block that is left open: mistakes in the template
 */
export function fill(
  template: string,
  values: Readonly<Record<string, string>>,
  holds: (word: string) => boolean,
): string {
  return chosen(template.split('\n'), holds)
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/@([A-Z_]+)@/g, (_, name: string) => {
      const value = values[name];
      if (value === undefined) throw new Error(`no value for @${name}@ of the template`);
      return value;
    });
}

function chosen(lines: readonly string[], holds: (word: string) => boolean): string[] {
  let open = false;
  let shown = true;
  const kept = lines.filter((line) => {
    const { words, end } = MARK.exec(line)?.groups ?? {};
    if (words === undefined && end === undefined) return shown;
    if (open === (words !== undefined)) throw new Error(`a block of the template is not closed, or not open: ${line}`);
    open = words !== undefined;
    shown = !words || words.split(' ').every(holds);
    return false;
  });
  if (open) throw new Error('the last block of the template is not closed');
  return kept;
}
