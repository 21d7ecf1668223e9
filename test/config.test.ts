import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig, optionName, renewalInterval, SETTINGS, type SettingName } from '../src/config.js';
import { duration, exitCodes, flag, list, logLevel, size, whole } from '../src/core/values.js';

let parent: string;
let cwd: string;

beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'cape config '));
  cwd = join(parent, 'project');
  mkdirSync(cwd);
});

afterAll(() => rmSync(parent, { recursive: true, force: true }));

const names = Object.keys(SETTINGS) as SettingName[];
const load = (input: Parameters<typeof loadConfig>[0] = {}) => loadConfig({ env: {}, cwd, ...input });

/** The error of a value, by the kind that decides the exit code. */
function refusal(input: Parameters<typeof loadConfig>[0]): { kind: string; message: string } {
  try {
    load(input);
  } catch (error) {
    return error as { kind: string; message: string };
  }
  throw new Error('was accepted');
}

describe('where a value comes from', () => {
  test('defaults are allowed values themselves, durations in milliseconds and sizes in bytes', () => {
    const { config, sources } = load();
    expect(config).toMatchObject({
      lease: 300_000,
      concurrency: 1,
      outputLimit: 64 * 1024 ** 2,
      failExitCodes: [64, 65, 78],
    });
    expect(config.workerId).toBeUndefined();
    expect(new Set(Object.values(sources))).toEqual(new Set(['default']));
  });

  test('flag goes before environment before .env before default', () => {
    writeFileSync(join(cwd, '.env'), 'CAPE_GRACE=1\nCAPE_LEASE=61\nCAPE_TIMEOUT=71\n');
    const env = { CAPE_GRACE: '2', CAPE_LEASE: '62' };
    const { config, sources, texts } = load({ env, flags: { grace: '3' } });
    expect([config.grace, config.lease, config.timeout, config.pollInterval]).toEqual([3000, 62_000, 71_000, 10_000]);
    expect([sources.grace, sources.lease, sources.timeout, sources.pollInterval]).toEqual([
      'flag',
      'environment',
      '.env',
      'default',
    ]);
    expect([texts.grace, texts.lease, texts.timeout]).toEqual(['3', '62', '71']);
    rmSync(join(cwd, '.env'));
  });

  test("the parent's .env is read where the folder has none, and none where it is not wanted", () => {
    writeFileSync(join(parent, '.env'), 'CAPE_WORKER_ID=from-parent\n');
    expect(load().config.workerId).toBe('from-parent');
    expect(load({ dotenv: false }).config.workerId).toBeUndefined();
    writeFileSync(join(cwd, '.env'), 'CAPE_CONCURRENCY=2\n');
    expect(load().config).toMatchObject({ workerId: undefined, concurrency: 2 });
    rmSync(join(cwd, '.env'));
    rmSync(join(parent, '.env'));
  });

  test('an empty variable is unset, an empty flag is not', () => {
    expect(load({ env: { CAPE_LEASE: '' } }).config.lease).toBe(300_000);
    expect(refusal({ flags: { lease: '' } }).message).toMatch(/^--lease: got ""/);
  });

  test('CAPE_NO_MIGRATE says what --no-migrate says', () => {
    expect(load({ env: { CAPE_NO_MIGRATE: '1' } }).config.migrate).toBe(false);
    expect(load({ env: { CAPE_MIGRATE: 'no' } }).config.migrate).toBe(false);
    expect(load({ flags: { migrate: false } }).config.migrate).toBe(false);
    expect(refusal({ env: { CAPE_NO_MIGRATE: 'maybe' } }).message).toContain('CAPE_NO_MIGRATE: got "maybe"');
  });

  test('settings that a command does not need are not looked at', () => {
    const env = { CAPE_LEASE: 'nonsense', CAPE_SCHEMA: 'mine' };
    expect(load({ env, only: ['schema'] }).config).toMatchObject({ schema: 'mine', lease: 300_000 });
  });
});

describe('a bad value names the setting where it was written, the value, and what is allowed', () => {
  test.each<[string, SettingName, string, RegExp]>([
    ['duration', 'lease', '5 parsecs', /must be seconds or a number with ms, s, m, h or d .* from 4s to 1d/],
    ['duration too short', 'timeout', '0.5', /from 1s to 365d/],
    ['size', 'outputLimit', '12 floppies', /with KiB, MiB, GiB or TiB .*, from 64KiB to 1TiB$/],
    ['size in thousands', 'outputLimit', '10MB', /from 64KiB to 1TiB; did you mean 10MiB\?$/],
    ['whole number', 'concurrency', '1.5', /must be a whole number from 1 to 1000/],
    ['worker id', 'workerId', 'a/b', /must be 1 to 100 letters, digits/],
    ['worker id', 'workerId', 'a..b', /must not contain "\.\."/],
    ['schema', 'schema', 'a-b', /must be a plain name/],
    ['choice', 'logFormat', 'xml', /must be text or json/],
    ['level', 'logLevel', 'loud', /must be one of error, warn, info, debug/],
    ['exit codes', 'failExitCodes', '64,256', /must be exit codes from 1 to 255/],
    ['names', 'passEnv', 'A,B-C', /must be names of environment variables/],
    ['true or false', 'drain', 'perhaps', /must be true or false/],
  ])('%s', (_, name, value, allowed) => {
    const option = `--${optionName(name)}`;
    const asFlag = refusal({ flags: { [name]: value } });
    expect(asFlag).toMatchObject({ kind: 'usage', message: expect.stringContaining(`${option}: got "${value}"; `) });
    expect(asFlag.message).toMatch(allowed);
    const { env } = SETTINGS[name];
    const asVariable = refusal({ env: { [env]: value } });
    expect(asVariable).toMatchObject({ kind: 'config', message: expect.stringContaining(`${env}: got "${value}"; `) });
  });

  test('on one line, whatever the value holds', () => {
    expect(refusal({ flags: { workerId: 'a\n\u001b[31mb' } }).message).toContain('"a\\n\\u001b[31mb"');
  });

  test.each([
    [{ lease: '20', grace: '10' }, /--lease: got 20s; must be at least 21s with --grace 10s/],
    [{ retryBase: '10m', retryCap: '1m' }, /--retry-cap: got 1m; must not be less than --retry-base \(10m\)/],
    [{ failExitCodes: '64,75' }, /--snooze-exit-codes: got 75, which is in --fail-exit-codes too/],
    [{ once: true, drain: true }, /--once: got it together with --drain/],
  ])('together: %j', (flags, message) => {
    expect(refusal({ flags }).message).toMatch(message);
  });

  test('together, and of the command line as soon as a flag takes part', () => {
    const env = { CAPE_LEASE: '20' };
    expect(refusal({ env })).toMatchObject({ kind: 'config', message: expect.stringMatching(/^CAPE_LEASE: got 20s/) });
    expect(refusal({ env, flags: { grace: '10' } })).toMatchObject({ kind: 'usage' });
    expect(refusal({ flags: { lease: '20' } })).toMatchObject({ kind: 'usage' });
  });

  test('the shortest lease is allowed, and nothing shorter', () => {
    for (const grace of [0, 7, 10, 39, 40, 41, 300]) {
      const [, least] = /at least (\S+) with/.exec(refusal({ flags: { grace, lease: grace + 4 } }).message) ?? [];
      expect(load({ flags: { grace, lease: least } }).config.grace).toBe(grace * 1000);
      const shorter = load({ flags: { lease: least, grace: 0 } }).config.lease / 1000 - 1;
      expect(refusal({ flags: { grace, lease: shorter } }).message).toContain(`at least ${least}`);
    }
  });
});

test('an unknown CAPE_ variable is warned of, with the one that was probably meant', () => {
  const { warnings } = load({ env: { CAPE_CONCURENCY: '2', CAPE_ISSUE_ID: '7', CAPED: 'x' } });
  expect(warnings).toEqual(['environment: unknown variable CAPE_CONCURENCY; did you mean CAPE_CONCURRENCY?']);
});

describe('the database URL', () => {
  test.each(['', ' '])('set to "%s" is refused: it would mean another database, in silence', (url) => {
    const message = expect.stringMatching(/^DATABASE_URL is set in the environment but empty; unset it/);
    expect(refusal({ env: { DATABASE_URL: url } })).toMatchObject({ kind: 'config', message });
    writeFileSync(join(cwd, '.env'), `DATABASE_URL=${url}\n`);
    expect(refusal({}).message).toContain('is set in the file .env but empty');
    expect(load({ env: { DATABASE_URL: ' postgres://h/d ' } }).config.databaseUrl).toBe('postgres://h/d');
    rmSync(join(cwd, '.env'));
  });

  test('is looked for under names that are nearly its own, where it is not set', () => {
    writeFileSync(join(cwd, '.env'), 'DATBASE_URL=postgres://h/d\nDATABASES=2\n');
    expect(load().warnings).toEqual(['.env: unknown variable DATBASE_URL; did you mean DATABASE_URL?']);
    rmSync(join(cwd, '.env'));
    expect(load({ env: { DATABASE_URL: 'postgres://h/d', DATABASE_URI: 'x' } }).warnings).toEqual([]);
  });
});

test('lines of a .env that its parser passes over are warned of by their number, and never shown', () => {
  const lines = [
    '# a comment',
    '',
    'TOPSECRET',
    'A="over',
    'two lines"',
    'export B = 2 # b',
    "C: 'c",
    "c'",
    'CAPE_GRACE 5',
  ];
  writeFileSync(join(cwd, '.env'), lines.join('\r\n'));
  const { warnings, dotenvPath } = load();
  expect(dotenvPath).toBe(join(cwd, '.env'));
  expect(warnings).toEqual([3, 9].map((line) => `${dotenvPath}: line ${line} is not NAME=value, so it is ignored`));
  rmSync(join(cwd, '.env'));
});

test('every option has its own variable in its own name, and only the URLs and tokens are secrets', () => {
  for (const name of names.filter((one) => one !== 'databaseUrl')) {
    expect(SETTINGS[name].env).toBe(`CAPE_${optionName(name).replaceAll('-', '_').toUpperCase()}`);
  }
  expect(names.filter((name) => 'secret' in SETTINGS[name])).toEqual([
    'databaseUrl',
    'listenUrl',
    'apiTokens',
    'apiToken',
  ]);
});

describe('kinds of values, whatever is given', () => {
  test('a duration is what its number and unit say', () => {
    const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
    fc.assert(
      fc.property(fc.nat(8000), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])), (number, unit) => {
        expect(duration({}).parse(`${number}${unit}`)).toBe(number * units[unit]);
        expect(duration({}).parse(String(number))).toBe(number * 1000);
      }),
    );
  });

  test('no text is ever taken for something outside of the limits', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[-+]?\d{0,20}\.?\d{0,4} ?[a-zA-Z]{0,3}$/));
    fc.assert(
      fc.property(text, (value) => {
        const ms = duration({ min: 10, max: 5000 }).safeParse(value);
        if (ms.success) expect(ms.data >= 10 && ms.data <= 5000).toBe(true);
        const bytes = size({ min: 10, max: 5000 }).safeParse(value);
        if (bytes.success) expect(bytes.data >= 10 && bytes.data <= 5000).toBe(true);
        const number = whole(3, 9).safeParse(value);
        if (number.success) expect(number.data >= 3 && number.data <= 9).toBe(true);
        const codes = exitCodes.safeParse(value);
        if (codes.success) expect(codes.data.every((code) => code >= 1 && code <= 255)).toBe(true);
      }),
    );
  });

  test('levels and flags in any case, lists with any spacing', () => {
    expect(['WARNING', 'Warn', ' info '].map((level) => logLevel.parse(level))).toEqual(['warn', 'warn', 'info']);
    expect(['TRUE', 'on', '1', 'Yes', 'FALSE', 'off', '0', 'no'].map((word) => flag.parse(word))).toEqual([
      ...[true, true, true, true],
      ...[false, false, false, false],
    ]);
    expect(list.parse(' A, B_* ,C,')).toEqual(['A', 'B_*', 'C']);
    expect(size({}).parse('64MiB')).toBe(64 * 1024 ** 2);
  });

  test('the renewal of a lease is a quarter of it, at most 15 s', () => {
    expect([renewalInterval(300_000), renewalInterval(30_000)]).toEqual([15_000, 7500]);
  });
});
