/** Settings as people, unit files and other programs get them wrong. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadConfig, optionName, SETTINGS, type SettingName, type Source } from '../src/config.js';
import { CapeError } from '../src/core/errors.js';
import { oneLine } from '../src/core/text.js';
import { duration, durationName, size } from '../src/core/values.js';
import { parseUrl, redactUrl } from '../src/db/url.js';

const RUNS = 10_000;
vi.setConfig({ testTimeout: 120_000 });
const names = Object.keys(SETTINGS) as SettingName[];
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'cape fuzz '));
  mkdirSync(join(dir, 'project'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const NONSENSE = [
  '',
  ' ',
  '0',
  '-1',
  '1e3',
  '1e999',
  'NaN',
  'Infinity',
  '0x10',
  '5 m',
  '5mm',
  '10MB',
  '1.5h',
  '٣',
  'null',
];
const NASTY = ['\0', '\n', '\r\n', '\u001b[2J', '\u2028', '\u202e', '\ud800', '__proto__', '../..', '$HOME', "'", '"'];
const value = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('1', '5m', '300s', '64KiB', 'true', 'no', 'info', 'json', 'a-1', '64,65', '/tmp'),
  },
  { weight: 3, arbitrary: fc.constantFrom(...NONSENSE, ...NASTY) },
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.stringMatching(/^[-+]?\d{0,25}\.?\d{0,4} ?[a-zA-Z]{0,4}$/),
  fc.constant('9'.repeat(10_000)),
);
const variables = names.flatMap((name) => {
  const { env } = SETTINGS[name];
  return [env, env.replace('CAPE_', 'CAPE_NO_')];
});
const variable = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...variables) },
  fc.constantFrom('__proto__', 'constructor', 'hasOwnProperty', 'toString', 'CAPE_', 'CAPE_TIMEOUTS', 'DATABASEURL'),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
const record = <V>(values: fc.Arbitrary<V>) => fc.dictionary(variable, values, { maxKeys: 6, noNullPrototype: false });
const flags = fc.dictionary(
  fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...names) }, fc.constantFrom('__proto__', 'constructor', 'valueOf')),
  fc.oneof(value, fc.double(), fc.integer(), fc.boolean()),
  { maxKeys: 3, noNullPrototype: false },
);

/** What it says to people, or the settings; any other error than the one for people fails the test. */
function load(input: Parameters<typeof loadConfig>[0]): ReturnType<typeof loadConfig> | CapeError {
  try {
    return loadConfig(input);
  } catch (error) {
    expect(error).toBeInstanceOf(CapeError);
    return error as CapeError;
  }
}

/** What the setting's own schema makes of the text, and nothing else. */
function fits(name: SettingName, text: unknown, config: unknown): boolean {
  const { schema } = SETTINGS[name] as { schema: { safeParse(value: unknown): { success: boolean; data?: unknown } } };
  const { success, data } = schema.safeParse(text);
  const sane = typeof config !== 'number' || Number.isSafeInteger(config);
  return success && sane && JSON.stringify(data) === JSON.stringify(config);
}

describe('any settings', () => {
  test('are settings that the schema allows, or one printable line that names what is wrong', () => {
    const known = new Set([...variables, ...names.map((name) => `--${optionName(name)}`)]);
    fc.assert(
      fc.property(flags, record(value), (given, env) => {
        const loaded = load({ flags: given as never, env, dotenv: false });
        if (loaded instanceof CapeError) {
          const named = /^(?:(--[a-z-]+|[A-Z_]+): got|(DATABASE_URL) is set)/.exec(loaded.message);
          expect(known, loaded.message).toContain(named?.[1] ?? named?.[2]);
          expect(['usage', 'config']).toContain(loaded.kind);
          expect(loaded.message).toBe(oneLine(loaded.message));
          expect(loaded.message.length).toBeLessThan(800);
          return;
        }
        // One expectation for all of them: 25 in each of 10,000 cases took most of the time.
        const wrong = names.filter((name) => !fits(name, loaded.texts[name], loaded.config[name]));
        expect([Object.keys(loaded.config).length, wrong]).toEqual([names.length, []]);
        expect(loaded.warnings.map(oneLine)).toEqual(loaded.warnings);
      }),
      { numRuns: RUNS },
    );
  });

  test('come from the first place that has them: flag, environment, .env, default', () => {
    const numbers = Array.from({ length: 9 }, (_, i) => String(i + 1));
    const chosen = ['maxAttempts', 'issueLogDays', 'logMaxDays', 'concurrency'] as const;
    for (const number of numbers) {
      mkdirSync(join(dir, number));
      writeFileSync(join(dir, number, '.env'), chosen.map((name) => `${SETTINGS[name].env}=${number}\n`).join(''));
    }
    const some = fc.option(fc.constantFrom(...numbers), { nil: undefined });
    fc.assert(
      fc.property(fc.constantFrom(...chosen), some, some, some, (name, ...places) => {
        const { env, fallback } = SETTINGS[name];
        const [flag, environment, dotenv] = places;
        const loaded = loadConfig({
          flags: { [name]: flag } as never,
          env: environment === undefined ? {} : { [env]: environment },
          cwd: join(dir, dotenv ?? 'project'),
          only: [name],
        });
        const first = places.findIndex((place) => place !== undefined);
        const source: Source = (['flag', 'environment', '.env'] as const)[first] ?? 'default';
        expect([loaded.sources[name], loaded.config[name]]).toEqual([source, Number(places[first] ?? fallback)]);
      }),
      { numRuns: RUNS },
    );
  });

  test('never show the password of a URL that is refused or told of', () => {
    const secret = 'hunter2Hunter2';
    const around = fc.string({ unit: 'binary', maxLength: 8 }).filter((text) => !/[hu]/i.test(text));
    fc.assert(
      fc.property(fc.constantFrom('DATABASE_URL', 'DATABASEURL'), around, around, around, (name, a, b, c) => {
        const url = `postgres://me${a}:${b}${secret}${c}@db:5432/work`;
        const loaded = load({ env: { [name]: url, CAPE_LEASE: b }, dotenv: false });
        const said = loaded instanceof CapeError ? [loaded.message] : loaded.warnings;
        expect(said.join('\n')).not.toContain(secret);
      }),
      { numRuns: RUNS },
    );
  });
});

test('any text in a .env gives settings or one printable line, and its warnings never show what it holds', () => {
  const file = join(dir, 'project', '.env');
  const line = fc.oneof(
    fc.tuple(variable, fc.constantFrom('=', ' = ', ': ', ' ', '=='), value).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.constantFrom('export ', '# note', '"open', "'open", '`', 'A="\n', '__proto__=1', '\ufeff', 's3cretS3cret'),
  );
  const content = fc
    .tuple(fc.array(line, { maxLength: 8 }), fc.constantFrom('\n', '\r\n', '\r', ''))
    .map(([l, end]) => l.join(end));
  fc.assert(
    fc.property(content, (text) => {
      writeFileSync(file, text);
      const loaded = load({ env: {}, cwd: join(dir, 'project') });
      const said = loaded instanceof CapeError ? [loaded.message] : loaded.warnings;
      expect(said.map(oneLine)).toEqual(said);
      if (!(loaded instanceof CapeError)) expect(loaded.warnings.join('\n')).not.toContain('s3cret');
      expect(({} as Record<string, unknown>).CAPE_LEASE).toBeUndefined();
    }),
    { numRuns: RUNS },
  );
  rmSync(file);
});

describe('a database URL', () => {
  const url = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc
      .array(
        fc.oneof(
          fc.constantFrom(
            'postgres://',
            'postgresql://',
            '@',
            ':',
            '/',
            '?',
            '&',
            '=',
            '#',
            ',',
            '%',
            '%2F',
            '[::1]',
            'host',
          ),
          fc.constantFrom(
            'sslmode',
            'require',
            'port',
            '5432',
            '99999',
            'password',
            'options',
            '+',
            ' ',
            '\n',
            '\u001b',
          ),
          fc.string({ unit: 'binary', maxLength: 5 }),
        ),
        { maxLength: 14 },
      )
      .map((parts) => parts.join('')),
  );

  test('of any text is read, or refused in one printable line', () => {
    fc.assert(
      fc.property(url, (text) => {
        expect(redactUrl(text)).toBe(oneLine(redactUrl(text)));
        try {
          expect(parseUrl(text).servers.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(CapeError);
          expect((error as CapeError).message).toBe(oneLine((error as CapeError).message));
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('never shows its password, wherever it stands and whatever is wrong besides', () => {
    const secret = 'hunter2Hunter2';
    const other = fc.string({ unit: 'binary', maxLength: 6 }).filter((text) => !/[hu]/i.test(text));
    const shape = fc.constantFrom(
      (a: string, b: string, c: string) => `postgres://me:${a}${secret}${b}@db${c}/work`,
      (a: string, b: string, c: string) => `postgres://${a}me:${secret}@db:${b}/${c}`,
      (a: string, b: string, c: string) => `postgres://me@db/work?${a}password=${b}${secret}${c}`,
      (a: string, b: string, c: string) => `postgres://db/work?${a}=1&password=${secret}&${b}=${c}`,
    );
    fc.assert(
      fc.property(shape, other, other, other, (make, a, b, c) => {
        const text = make(a, b, c);
        expect(redactUrl(text)).not.toContain(secret);
        try {
          parseUrl(text);
        } catch (error) {
          expect((error as CapeError).message).not.toContain(secret);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe('durations and sizes', () => {
  test('are whole numbers within their limits, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(value, fc.double(), fc.integer()), (text) => {
        for (const [schema, most] of [
          [duration({}), 365 * 86_400_000],
          [size({}), 1024 ** 4],
        ] as const) {
          const { data } = schema.safeParse(text);
          if (data === undefined) continue;
          expect(Number.isInteger(data) && data >= 0 && data <= most, `${data}`).toBe(true);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('are read back as they are written out', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 365 * 86_400_000 }), (ms) => {
        expect(duration({}).parse(durationName(ms))).toBe(ms);
      }),
      { numRuns: RUNS },
    );
  });
});
