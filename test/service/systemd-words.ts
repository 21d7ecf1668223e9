/** What systemd makes of a value, as far as we use its language: held against a running systemd 252 with random paths. */

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\', '"': '"', "'": "'", n: '\n', t: '\t', s: ' ' };

/** The directives of a unit in order, comments left out, as [name, value]; a line that is neither is an error. */
export function directives(unit: string): [string, string][] {
  return unit
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s*[#;]/.test(line) && !/^\[[A-Za-z-]+\]$/.test(line))
    .map((line) => {
      const [, name, value] = /^([A-Za-z]+)=(.*)$/.exec(line.trim()) ?? [];
      if (name === undefined || value === undefined) throw new Error(`not a directive: ${line}`);
      if (value.endsWith('\\')) throw new Error(`goes on in the next line: ${line}`);
      return [name, value];
    });
}

/** `%%` is a percent sign; all others stand for what systemd knows and must not occur. */
export function specifiers(value: string): string {
  return value.replace(/%(.?)/gu, (_, next: string) => {
    if (next !== '%') throw new Error(`specifier %${next}`);
    return '%';
  });
}

/** Words in quotes and without, with backslashes. */
export function words(value: string): string[] {
  const found: string[] = [];
  let word: string | null = null;
  let quote = '';
  const chars = [...value];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] as string;
    if (char === '\\') {
      const meant = ESCAPES[chars[++i] ?? ''];
      if (meant === undefined) throw new Error(`escape \\${chars[i]}`);
      word = (word ?? '') + meant;
    } else if (quote !== '' ? char === quote : char === '"' || char === "'") {
      quote = quote === '' ? char : '';
      word ??= '';
    } else if (quote === '' && /[ \t]/.test(char)) {
      if (word !== null) found.push(word);
      word = null;
    } else word = (word ?? '') + char;
  }
  if (quote !== '') throw new Error(`open quote in ${value}`);
  return (word === null ? found : [...found, word]).map(specifiers);
}

/** What is executed: the file, and its arguments from argv[0] on. */
export function execStart(value: string): { file: string; argv: string[] } {
  const [first = '', ...rest] = words(value);
  if (/^[-:+!|]/.test(first)) throw new Error(`a prefix: ${first}`);
  if (words(value).includes(';') && /(^|\s);(\s|$)/.test(value)) throw new Error('a second command');
  const file = first.replace(/^@/, '');
  return { file, argv: (first.startsWith('@') ? rest : [file, ...rest]).map(variables) };
}

/** `$$` is a dollar; `${NAME}`, and `$NAME` as a word, are filled in and must not occur. */
function variables(word: string): string {
  return word.replace(/\$(\$|\{[A-Za-z_]+\})?/g, (match, next: string | undefined, at: number) => {
    if (next === '$') return '$';
    if (next !== undefined || (at === 0 && /^\$[A-Za-z_]\w*$/.test(word)))
      throw new Error(`variable ${match} in ${word}`);
    return match;
  });
}
