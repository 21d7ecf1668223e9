/** `--env-file`: the file that takes the place of .env, and what is told of it. */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../src/config.js';
import { childEnvironment } from '../src/execution/environment.js';

let cwd: string;
let file: string;

beforeAll(() => {
  cwd = realpathSync(mkdtempSync(join(tmpdir(), 'cape env file ')));
  file = join(cwd, 'my worker.env');
  writeFileSync(join(cwd, '.env'), 'CAPE_CONCURRENCY=9\nCAPE_LEASE=99\n');
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const write = (text: string, mode = 0o600) => {
  writeFileSync(file, text);
  chmodSync(file, mode);
};
const load = (input: Parameters<typeof loadConfig>[0] = {}) =>
  loadConfig({ env: {}, cwd, flags: { envFile: 'my worker.env' }, ...input });

function refusal(input: Parameters<typeof loadConfig>[0]): { kind: string; message: string } {
  try {
    load(input);
  } catch (error) {
    return error as { kind: string; message: string };
  }
  throw new Error('was accepted');
}

describe('an env file', () => {
  test('is read in place of .env, behind flags and environment', () => {
    write('CAPE_CONCURRENCY=2\nCAPE_GRACE=2\nCAPE_TIMEOUT=2\n');
    const { config, sources, dotenvPath } = load({
      env: { CAPE_GRACE: '3', CAPE_TIMEOUT: '3' },
      flags: { envFile: file, timeout: '4' },
    });
    expect(config).toMatchObject({ concurrency: 2, grace: 3000, timeout: 4000, lease: 300_000 });
    expect(sources).toMatchObject({ concurrency: 'env file', grace: 'environment', timeout: 'flag', envFile: 'flag' });
    expect(dotenvPath).toBe(file);
  });

  test('may be named by the environment, where files are looked for at all; a flag goes before it', () => {
    write('CAPE_CONCURRENCY=2\n');
    const env = { CAPE_ENV_FILE: 'my worker.env' };
    expect(load({ env, flags: {} })).toMatchObject({ config: { concurrency: 2 }, sources: { envFile: 'environment' } });
    expect(load({ env, flags: {}, dotenv: false }).config.concurrency).toBe(1);
    expect(load({ env: { CAPE_ENV_FILE: 'no such file' } }).config.concurrency).toBe(2);
    expect(load({ env: { CAPE_ENV_FILE: '' }, flags: {} }).config.concurrency).toBe(9);
  });

  test('counts for commands that read only some settings', () => {
    write('CAPE_SCHEMA=mine\nCAPE_GRACE=nonsense\n');
    expect(load({ only: ['schema'] })).toMatchObject({ config: { schema: 'mine' }, sources: { schema: 'env file' } });
  });

  test('adds its other variables to the environment, which goes before it', () => {
    write('ANTHROPIC_API_KEY=from-file\nPATH=/from/file\nTZ=UTC\nCAPE_ENV_FILE=x\n');
    const { environment } = load({ env: { PATH: '/bin', TZ: undefined } });
    expect(environment).toEqual({ PATH: '/bin', ANTHROPIC_API_KEY: 'from-file', TZ: 'UTC' });
    expect(load({ env: {} }).environment.PATH).toBe('/from/file');
  });

  test('gives nothing of itself to commands but what is passed by name', () => {
    write('DATABASE_URL=postgres://a:b@c/d\nCAPE_LEASE=60\nOPENAI_API_KEY=one\nANTHROPIC_API_KEY=two\n');
    const { environment } = load({ env: { CAPE_ENV_FILE: file, PATH: '/bin' }, flags: {} });
    expect(childEnvironment(environment, ['ANTHROPIC_API_KEY', 'CAPE_*', 'D*'])).toEqual({
      TERM: 'dumb',
      PATH: '/bin',
      ANTHROPIC_API_KEY: 'two',
    });
  });

  test('is not the same as a .env, which adds nothing to the environment', () => {
    writeFileSync(join(cwd, '.env'), 'ANTHROPIC_API_KEY=x\n');
    expect(load({ env: { PATH: '/bin' }, flags: {} }).environment).toEqual({ PATH: '/bin' });
    writeFileSync(join(cwd, '.env'), 'CAPE_CONCURRENCY=9\nCAPE_LEASE=99\n');
  });
});

describe('an env file that', () => {
  test('is missing is an error of the flag, or of the variable, with the path that was meant', () => {
    const why = `got "gone.env"; there is no such file; it means ${cwd}/gone.env`;
    expect(refusal({ flags: { envFile: 'gone.env' } })).toMatchObject({ kind: 'usage', message: `--env-file: ${why}` });
    const env = { CAPE_ENV_FILE: 'gone.env' };
    expect(refusal({ env, flags: {} })).toMatchObject({ kind: 'config', message: `CAPE_ENV_FILE: ${why}` });
    // Too long to be a path, and to be shown twice.
    expect(refusal({ flags: { envFile: '9'.repeat(10_000) } }).message).toMatch(
      /^--env-file: got "9{200}"; it can't be read \(ENAMETOOLONG\)$/,
    );
  });

  test('can not be read is an error too', () => {
    mkdirSync(join(cwd, 'folder'));
    const message = `--env-file: got "${cwd}/folder"; it can't be read (EISDIR)`;
    expect(refusal({ flags: { envFile: join(cwd, 'folder') } })).toMatchObject({ kind: 'usage', message });
    expect(refusal({ flags: { envFile: '' } }).message).toBe('--env-file: got ""; must not be empty');
    expect(refusal({ flags: { envFile: 'a\0\nb' } }).message).toMatch(
      /^--env-file: got "a\\u0000\\nb"; it can't be read/,
    );
  });

  test('holds an empty DATABASE_URL is named', () => {
    write('DATABASE_URL=\n');
    expect(refusal({}).message).toContain(`DATABASE_URL is set in the file ${file} but empty`);
  });

  test('holds unknown names, its own name or other lines is named in the warnings', () => {
    write('CAPE_LEASES=1\nTOPSECRET\nCAPE_ENV_FILE=other.env\n');
    expect(load().warnings).toEqual([
      `${file}: unknown variable CAPE_LEASES; did you mean CAPE_LEASE?`,
      `${file}: CAPE_ENV_FILE means nothing in a file; give it as --env-file`,
      `${file}: line 2 is not NAME=value, so it is ignored`,
    ]);
  });

  test.each([
    ['DATABASE_URL=postgres://a:s3cret@b/c\n', 0o644, 'DATABASE_URL'],
    ['CAPE_LISTEN_URL=postgres://a:s3cret@b/c\n', 0o640, 'CAPE_LISTEN_URL'],
    ['PATH=/bin\nANTHROPIC_API_KEY=s3cret\n', 0o604, 'ANTHROPIC_API_KEY'],
    ['GH_TOKEN=s3cret\n', 0o620, 'GH_TOKEN'],
  ])('others have access to, and that holds a secret, is warned of: %j', (text, mode, name) => {
    write(text, mode);
    const bits = mode.toString(8);
    expect(load().warnings).toEqual([
      `${file}: others have access to it (mode ${bits}) and it holds ${name}; chmod 600`,
    ]);
    chmodSync(file, 0o600);
    expect(load().warnings).toEqual([]);
  });

  test('others may read because it holds no secret is nothing to warn of', () => {
    write('PATH=/bin\nCAPE_CONCURRENCY=2\nGH_TOKEN=\n', 0o644);
    expect(load().warnings).toEqual([]);
  });
});
