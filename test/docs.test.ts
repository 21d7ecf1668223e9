/** What the documents say is what the program does. Nothing of the network or a database is needed here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { split } from 'shlex';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../src/cli/commands.js';
import { parse } from '../src/cli/program.js';
import { OUTPUT_KEYS, OVERVIEW_KEYS } from '../src/cli/top-help.js';
import { optionName, SETTINGS, type SettingName } from '../src/config.js';
import { EXIT } from '../src/core/errors.js';
import { STATUSES, TRANSITIONS } from '../src/core/issue.js';
import { OUTCOMES } from '../src/core/outcome.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** The text of code blocks in one of these languages. */
function blocks(page: string, language: string): string[] {
  return [...read(page).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] as string);
}

/** Code inside sentences and tables. */
function spans(page: string): string[] {
  const prose = read(page).replace(/^```\w*\n[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] as string);
}

/** The cells of the table whose heading begins so, or of all tables, a row each. */
function tableRows(text: string, heading = ''): string[][] {
  const rest = heading === '' ? text : text.slice(text.indexOf(`\n| ${heading} `) + 1).split('\n\n', 1)[0];
  const lines = (rest ?? '').split('\n').slice(heading === '' ? 0 : 1);
  return lines
    .filter((line) => /^\|(?! ?-)/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe('settings', () => {
  const expected = (Object.keys(SETTINGS) as SettingName[]).map((name) => {
    const setting: { env: string; about: string; fallback?: string; secret?: true } = SETTINGS[name];
    const option = setting.secret ? '(variable only)' : `\`--${optionName(name)}\``;
    const negated = setting.fallback === 'true' ? `, \`--no-${optionName(name)}\`` : '';
    const fallback = setting.fallback ? `\`${setting.fallback}\`` : '(none)';
    return [`${option}${negated}`, `\`${setting.env}\``, fallback, setting.about];
  });

  test.each(['README.md', 'docs/configuration.md'])('%s has every one, as the program has it', (page) => {
    const marked = /<!-- settings -->\n([\s\S]*?)<!-- \/settings -->/.exec(read(page))?.[1] ?? '';
    const rows = tableRows(marked).filter(([first]) => first !== 'Option');
    expect(rows, 'run: npm run build && node scripts/settings-table.mjs && npm run format').toEqual(expected);
  });

  test('of .env.example exist, and all of them are only suggestions', () => {
    const lines = read('.env.example').split('\n').filter(Boolean);
    expect(lines.filter((line) => !line.startsWith('#'))).toEqual([]);
    const names = lines.flatMap((line) => /^# ([A-Z_]+)=/.exec(line)?.[1] ?? []);
    expect(names.length).toBeGreaterThan(3);
    const known = Object.values(SETTINGS).map(({ env }) => env as string);
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
  });

  test('that a document names as variables exist, or are given to commands', () => {
    const given = read('src/worker/plan.ts').match(/CAPE_[A-Z_]+/g) ?? [];
    const marks = ['CAPE_RUN', 'CAPE_KEEPER', 'CAPE_NO_MIGRATE', ...given];
    const known = [...Object.values(SETTINGS).map(({ env }) => env as string), ...marks];
    const unknown = PAGES.flatMap((page) =>
      [...read(page).matchAll(/\bCAPE_[A-Z]+(?:_[A-Z]+)*\b/g)]
        .map((match) => match[0])
        .filter((name) => !known.includes(name))
        .map((name) => `${page}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });
});

/** Command lines of this program in the sh blocks of a page. */
function commandLines(page: string): string[] {
  return blocks(page, 'sh')
    .flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'))
    .flatMap((line) => line.split(/ && | \| | >> |"\$\(|\)"/))
    .map((part) => /^(?:npx )?cape-worker(.*)$/.exec(part.trim())?.[1])
    .filter((rest) => rest !== undefined);
}

describe('commands', () => {
  const documented = COMMANDS.map(({ name }) => name);

  test.each(PAGES)('%s shows only command lines that the program takes', async (page) => {
    for (const line of commandLines(page)) {
      await expect(parse(split(line)), `${page}: cape-worker${line}`).resolves.toBeDefined();
    }
  });

  test('a wrong command line would be found', async () => {
    expect(commandLines('docs/cli.md').length).toBeGreaterThan(20);
    await expect(parse(split('issues lst --statuss failed'))).rejects.toThrow();
  });

  test('docs/cli.md has a section with an example for each, and no other', () => {
    const sections = [...read('docs/cli.md').matchAll(/^### `(.+)`$/gm)].map((match) => match[1]);
    expect(sections.sort()).toEqual([...documented].sort());
    for (const name of documented) {
      expect(sectionOf(name), name).toMatch(name === 'run' ? /^cape-worker/m : new RegExp(`cape-worker ${name}`));
    }
  });

  test("each one's own options are in its section", async () => {
    const shared = new Set(['json', 'service', ...Object.keys(SETTINGS).map(optionName)]);
    for (const listed of COMMANDS) {
      const own = Object.keys((await listed.load()).options).filter(
        // A setting's name means the setting where `run` takes it, and the command's own option elsewhere.
        (option) =>
          !shared.has(option) ||
          (listed.name === 'issues add' && !['schema', 'data-dir', 'env-file', 'service', 'api-url'].includes(option)),
      );
      // An option that is on by default is documented as what switches it off.
      for (const option of own) expect(sectionOf(listed.name), listed.name).toMatch(new RegExp(`--(no-)?${option}\\b`));
    }
  });

  test('every option named in a sentence exists', async () => {
    const commands = await Promise.all(COMMANDS.map((listed) => listed.load()));
    const options = commands.flatMap((command) => Object.entries(command.options));
    const negated = options.flatMap(([name, { type }]) => (type === 'boolean' ? [`no-${name}`] : []));
    const known = new Set([...options.map(([name]) => name), ...negated, 'help']);
    const others = new Set([
      '--omit=optional',
      '--preserve-env=',
      '--no-',
      ...optionsOf('chaos/main.ts'),
      ...optionsOf('bench/options.ts'),
    ]);
    const unknown = PAGES.flatMap((page) =>
      spans(page)
        .flatMap((span) => span.match(/(?<![\w-])--[a-z][a-z=-]*/g) ?? [])
        .filter((option) => !others.has(option) && !known.has(option.slice(2)))
        .map((option) => `${page}: ${option}`),
    );
    expect(unknown).toEqual([]);
  });

  test('the exit codes are those of the program', () => {
    const codes = tableRows(read('docs/cli.md'), 'Exit code').map(([code]) => Number(code));
    expect(codes).toEqual(Object.values(EXIT));
  });
});

test('docs/top.md has the keys that `?` shows', () => {
  const rows = tableRows(read('docs/top.md')).filter(([first]) => first !== 'Key');
  expect(rows).toEqual([...OVERVIEW_KEYS, ...OUTPUT_KEYS].map(([keys, what]) => [`\`${keys}\``, what]));
});

/** `npm run chaos` and `npm run bench` are no commands of the program. */
function optionsOf(program: string): string[] {
  return [...read(`test/${program}`).matchAll(/\.option\('(\w+)'/g)].map(([, name]) => `--${name}`);
}

/** From a command's heading to the next one. */
function sectionOf(name: string): string {
  return read('docs/cli.md').split(`### \`${name}\`\n`)[1]?.split(/^##/m)[0] ?? '';
}

describe('how an issue moves', () => {
  test.each(['README.md', 'docs/architecture.md'])('the drawing in %s has the arrows of the program', (page) => {
    const drawn = [...read(page).matchAll(/^ {2}(\w+) --> (\w+): /gm)].map((match) => `${match[1]} -> ${match[2]}`);
    const moves = STATUSES.flatMap((from) => TRANSITIONS[from].map((to) => `${from} -> ${to}`));
    expect(drawn.sort()).toEqual(moves.sort());
  });

  test('both drawings are the same', () => {
    expect(blocks('README.md', 'mermaid')).toEqual(blocks('docs/architecture.md', 'mermaid'));
  });

  test('README says what each status means, docs/commands.md each outcome', () => {
    expect(tableRows(read('README.md'), 'Status').map(([cell]) => cell?.replaceAll('`', ''))).toEqual([...STATUSES]);
    // "lost" leaves no row: there is nothing that anybody could read it in.
    for (const outcome of OUTCOMES.filter((kind) => kind !== 'lost')) {
      expect(read('docs/commands.md')).toContain(`\`${outcome}\``);
    }
  });
});

describe('links', () => {
  /** As GitHub makes them of headings. */
  const anchors = (page: string) =>
    [...read(page).matchAll(/^#+ (.+)$/gm)].map((match) =>
      (match[1] as string)
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );

  test.each(PAGES)('of %s lead somewhere', (page) => {
    const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] as string);
    for (const link of links.filter((target) => !target.startsWith('https://'))) {
      const [path, anchor] = link.split('#') as [string, string | undefined];
      const target = path === '' ? page : join(dirname(page), path);
      expect(existsSync(join(root, target)), `${page}: ${link}`).toBe(true);
      if (anchor !== undefined) expect(anchors(target), `${page}: ${link}`).toContain(anchor);
    }
  });
});

test('every dependency has its reason in CONTRIBUTING.md, and none that is not there has one', () => {
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(read('package.json'));
  const list = read('CONTRIBUTING.md').split('## Dependencies')[1] ?? '';
  const reasons = [...list.matchAll(/^- ((?:`[^`]+`(?:, )?)+).*: .+$/gm)].map((match) => match[1] as string);
  const named = reasons.flatMap((names) => [...names.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string));
  const all = Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies });
  expect(named.sort()).toEqual(all.sort());
});

test('every test that docs/reliability.md names exists', () => {
  const named = [...read('docs/reliability.md').matchAll(/^- `(test\/[^`]+)`: (.+)$/gm)];
  expect(named.length).toBeGreaterThan(40);
  const missing = named.filter(([, file = '', name = '']) => {
    const text = existsSync(join(root, file)) ? read(file) : '';
    return !["'", '"', '`'].some((mark) => text.includes(mark + name + mark));
  });
  expect(missing.map(([line]) => line)).toEqual([]);
});

test('nothing refers to places outside the project', () => {
  // Put together here, or this file would be found.
  const places = new RegExp(
    ['/wo' + 'rk/', '\\.\\./sha' + 'red', '(FIELD|SQL|CONTAINMENT|DESIGN)\\.m' + 'd'].join('|'),
  );
  const files = ['src', 'migrations', 'scripts', 'test', 'docs'].flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true, withFileTypes: true }) as import('node:fs').Dirent[])
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const pages = PAGES.map((page) => join(root, page));
  expect([...files, ...pages].filter((file) => places.test(readFileSync(file, 'utf8')))).toEqual([]);
});
