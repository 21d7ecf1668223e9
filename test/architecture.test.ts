import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');

/** From the bottom up. Rooms of one layer do not see each other; each sees every layer below and itself. */
const LAYERS = [
  // folders: how log, db, execution and worker all make a folder, so it lies below them.
  // wakes: where log, db and worker join their timers, which they can do in one place only.
  ['core', 'folders', 'wakes'],
  ['config', 'log'],
  ['db'],
  ['events'],
  ['queue'],
  ['flow', 'execution', 'artifacts'],
  ['worker', 'client'],
  ['http'],
  ['index', 'service'],
  ['cli'],
];

const files = (readdirSync(src, { recursive: true }) as string[])
  .filter((name) => name.endsWith('.ts') && !name.startsWith(`dashboard${sep}`))
  .map((name) => name.split(sep).join('/'))
  .sort();

/** Everything that a file imports or re-exports, types and dynamic imports included. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8');
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)[^'"`;]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import\s+'([^']+)'/g,
  );
  return [...found].map(([, from, dynamic, bare]) => (from ?? dynamic ?? bare)!);
}

/** The imports that stay in src, as file names. */
function localImports(file: string): string[] {
  return importsOf(file)
    .filter((name) => name.startsWith('.'))
    .map((name) =>
      relative(src, join(src, dirname(file), name))
        .split(sep)
        .join('/')
        .replace(/\.js$/, '.ts'),
    )
    .filter((name) => files.includes(name));
}

function roomOf(file: string): string {
  return file.includes('/') ? file.split('/')[0]! : file.replace(/\.ts$/, '');
}

function layerOf(room: string): number {
  return LAYERS.findIndex((rooms) => rooms.includes(room));
}

describe('the rooms', () => {
  test('every file is in a room that the map knows', () => {
    expect(
      files.filter((file) => layerOf(roomOf(file)) < 0),
      'a new room needs its place in LAYERS, and a reason',
    ).toEqual([]);
  });

  test('a room imports only from itself and from the layers below', () => {
    const wrong = files.flatMap((file) =>
      localImports(file)
        .filter((other) => roomOf(other) !== roomOf(file) && layerOf(roomOf(other)) >= layerOf(roomOf(file)))
        .map((other) => `${file} imports ${other}`),
    );
    expect(wrong, 'words lie at the bottom and wiring at the top: what both sides need belongs further down').toEqual(
      [],
    );
  });

  test('no files import each other in a circle, types included', () => {
    expect(circles(), 'a circle makes each file unreadable without all the others').toEqual([]);
  });

  test('core imports nothing but zod', () => {
    const foreign = files
      .filter((file) => roomOf(file) === 'core')
      .flatMap((file) => importsOf(file).filter((name) => !name.startsWith('.') && name !== 'zod'));
    expect(foreign, 'what is pure can be tested without anything and used everywhere').toEqual([]);
  });
});

describe('the page', () => {
  const page = (readdirSync(join(src, 'dashboard'), { recursive: true }) as string[])
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.d.ts'))
    .map((name) => join('dashboard', name).split(sep).join('/'));

  test('takes from elsewhere only types, Preact and its signals', () => {
    const isOurs = (file: string, name: string) =>
      name.startsWith('.') && relative(join(src, 'dashboard'), join(src, dirname(file), name)).split(sep)[0] !== '..';
    const wrong = page.flatMap((file) => {
      const text = readFileSync(join(src, file), 'utf8').replace(/import type [^;]*;/g, '');
      const found = text.matchAll(/(?:import|export)[^'";]*?from\s*'([^']+)'|import\(?\s*'([^']+)'/g);
      return [...found]
        .map(([, from, bare]) => (from ?? bare)!)
        .filter((name) => !isOurs(file, name) && !/^(preact|preact\/hooks|@preact\/signals)$/.test(name))
        .map((name) => `${file} imports ${name}`);
    });
    expect(page.length).toBeGreaterThan(20);
    expect(wrong, 'what runs in a browser has no Node, and its size is what a reader waits for').toEqual([]);
  });

  test('shows texts as texts', () => {
    const wrong = page.filter((file) => /innerHTML|outerHTML|insertAdjacentHTML|document\.write/i.test(code(file)));
    expect(wrong, 'issues and output are written by strangers').toEqual([]);
  });
});

describe('the doors', () => {
  test('only config.ts reads process.env', () => {
    expect(mentions(/process\.env\b/), 'a setting that is read elsewhere is neither checked nor shown').toEqual([
      'config.ts',
    ]);
  });

  test('only cli/main.ts ends the process, and the keeper its own', () => {
    expect(
      mentions(/process\.(exit|kill\(process\.pid)\b/),
      'an exit elsewhere skips what others still have to write',
    ).toEqual(['cli/main.ts', 'execution/keeper.ts']);
  });

  test('only db/ speaks to the driver', () => {
    const others = files.filter((file) => importsOf(file).includes('postgres') && roomOf(file) !== 'db');
    expect(others, 'every query has a deadline, and only db/connect.ts gives it one').toEqual([]);
  });

  test('tables are named in SQL only by queue/, events/ and db/', () => {
    const sql = /\b(from|into|update|join|table)\s+cape_[a-z]+/i;
    const others = files.filter((file) => !['queue', 'events', 'db'].includes(roomOf(file)) && sql.test(code(file)));
    expect(others, 'a query elsewhere is one that nobody has looked at the plan of').toEqual([]);
  });

  test('winston and the other heavy libraries are loaded when they are needed', () => {
    const heavy = /^import (?!type)[^;]*from '(winston|winston-daily-rotate-file|cli-table3|log-update|yargs)'/m;
    const early = files.filter((file) => heavy.test(readFileSync(join(src, file), 'utf8')));
    expect(
      early.filter((file) => !file.startsWith('cli/')),
      'they cost a third of the start of every command',
    ).toEqual([]);
  });
});

function mentions(pattern: RegExp): string[] {
  return files.filter((file) => pattern.test(code(file)));
}

/** Without comments: they may speak of anything. */
function code(file: string): string {
  return readFileSync(join(src, file), 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '');
}

function circles(): string[] {
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (file: string, path: string[]) => {
    const at = path.indexOf(file);
    if (at >= 0) found.add([...path.slice(at), file].join(' -> '));
    if (at >= 0 || done.has(file)) return;
    for (const other of localImports(file)) visit(other, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return [...found];
}
