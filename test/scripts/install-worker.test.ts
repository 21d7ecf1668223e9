/** The door for a bare machine, with a Node and an npm that only say what they were asked for. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { workerIdSchema } from '../../src/core/issue.js';
import { tempFolder } from '../support/worker.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/install-worker.sh', import.meta.url));

function pathOf(program: string): string | undefined {
  return spawnSync('/bin/sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim() || undefined;
}

/** What it may use besides Node, npm and the shell's own: nothing else is on its PATH. */
const TOOLS =
  'sh awk cat chmod dirname env find grep head id ls mkdir mktemp readlink rm runuser su tail touch tr'.split(' ');

const NODE = `#!/bin/sh
case $1 in
  -p) echo "VERSION" ;;
  --version) echo "vVERSION" ;;
  --) shift 2; case $* in *--bogus*) echo "what is --bogus?" >&2; exit 64 ;; esac
    echo "ran in $PWD:"; for word in "$@"; do echo "[$word]"; done ;;
esac
`;

/** Does to a clone what npm would, and notes what it was asked for, by whom and where. */
const NPM = `#!/bin/sh
printf '%s (user %s, %s, umask %s, home %s)%s\\n' "$*" "$(id -u)" "$PWD" "$(umask)" "$HOME" "$DATABASE_URL" >> npm.log
case "$*" in prune*) ;; *--offline) [ -e kept ] || { echo "npm error code ENOTCACHED" >&2; exit 1; } ;;
  *) if [ -e offline ] && [ "$1" != run ]; then echo "npm error code ENOTFOUND" >&2; exit 1; fi ;;
esac
if [ -e broken ]; then echo "npm error the disk is on fire" >&2; exit 1; fi
if [ -e no-ping ] && [ "$1" = ping ]; then echo "npm error 404 Not Found" >&2; exit 1; fi
build() { mkdir -p dist/cli; echo > dist/cli/main.js; chmod 755 dist/cli/main.js; }
case $1 in
  ci) mkdir -p node_modules/typescript; echo > node_modules/typescript/package.json; [ -e no-prepare ] || build ;;
  run) build ;;
  prune) rm -r node_modules/typescript ;;
esac
mkdir -p node_modules; echo > node_modules/.package-lock.json
`;

let folder: string;
let clone: string;
let bin: string;

function program(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o755 });
}

/** Everything of the clone is old: what is made now is newer. */
function age(path: string, seconds: number): void {
  const time = Date.now() / 1000 - seconds;
  utimesSync(path, time, time);
}

beforeEach(() => {
  folder = tempFolder("cape install's ");
  chmodSync(folder, 0o755);
  clone = join(folder, 'a "clone" of $it');
  bin = join(folder, 'bin');
  mkdirSync(join(clone, 'scripts'), { recursive: true });
  mkdirSync(join(clone, 'src'));
  copyFileSync(SCRIPT, join(clone, 'scripts', 'install-worker.sh'));
  for (const name of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts/build.mjs',
    'src/a.ts',
  ]) {
    writeFileSync(join(clone, name), '{}\n');
    age(join(clone, name), 1000);
  }
  age(join(clone, 'src'), 1000);
  mkdirSync(bin);
  for (const tool of TOOLS) {
    const path = pathOf(tool);
    if (path) symlinkSync(path, join(bin, tool));
  }
  program(join(bin, 'node'), NODE.replaceAll('VERSION', '20.19.0'));
  program(join(bin, 'npm'), NPM);
});

interface Options {
  readonly env?: Record<string, string>;
  readonly shell?: readonly string[];
  readonly cwd?: string;
  readonly script?: string;
}

function run(args: readonly string[], { env = {}, shell = ['/bin/sh'], cwd = folder, script }: Options = {}) {
  const [file, ...before] = shell as [string, ...string[]];
  const { status, stdout, stderr } = spawnSync(
    file,
    [...before, script ?? join(clone, 'scripts', 'install-worker.sh'), ...args],
    {
      cwd,
      env: { PATH: bin, HOME: join(folder, 'home'), ...env },
      encoding: 'utf8',
    },
  );
  return { status, stdout, stderr, lines: stderr.split('\n').filter(Boolean) };
}

/** The words that npm got, one line a call. */
function asked(): string[] {
  const log = join(clone, 'npm.log');
  const lines = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : [];
  return lines.filter((line) => !line.startsWith('ping '));
}
const words = () => asked().map((line) => line.split(' (')[0]);

const busybox = pathOf('busybox');
if (!busybox) console.log('install-worker.sh is not run by busybox: it is not installed');
const bash = pathOf('bash');
const SHELLS = [['/bin/sh'], ...(bash ? [[bash, '--posix']] : []), ...(busybox ? [[busybox, 'sh']] : [])];

describe.each(SHELLS.map((shell) => ({ shell })))('by $shell', ({ shell }) => {
  test('a bare clone gets its dependencies, is pruned, and the command is run with what was asked for', () => {
    const options = ['--env-file', 'my own.env', '--command', "x 'y' $z", '--json'];
    const first = run(['alleycat-1', ...options], { shell });
    expect(first).toMatchObject({
      status: 0,
      stdout: `ran in ${folder}:\n${['service', 'install', 'alleycat-1', ...options].map((word) => `[${word}]\n`).join('')}`,
    });
    expect(words()).toEqual([
      'ci --include=dev --no-audit --no-fund',
      'prune --omit=dev --no-save --no-audit --no-fund --offline',
    ]);
    expect(asked()[0]).toContain(`(user ${process.getuid?.()}, ${clone}, umask 0022,`);
    expect(existsSync(join(clone, 'logs'))).toBe(true);
    expect(first.lines).toEqual([
      `install-worker: Node 20.19.0: ${bin}/node`,
      'install-worker: installing the dependencies (npm ci), which takes a minute',
      'install-worker: build: up to date',
      'install-worker: removing what only the build needs (npm prune)',
      `install-worker: making the log folder ${clone}/logs`,
    ]);
    const second = run(['alleycat-1'], { shell });
    expect(second.status).toBe(0);
    expect(asked()).toHaveLength(2);
    expect(second.lines.slice(1)).toEqual(['install-worker: dependencies: there', 'install-worker: build: up to date']);
  });

  test('a bad id is refused, by the rule of the program', () => {
    for (const id of [
      '',
      '.a',
      '_a',
      'a/b',
      'a b',
      'ä',
      'a..b',
      'a\nb',
      'a\u001b[31m',
      '$(id)',
      '*',
      'x'.repeat(101),
    ]) {
      expect(workerIdSchema.safeParse(id).success).toBe(false);
      const { status, stdout, lines } = run([id], { shell });
      expect([status, stdout, lines.length], id).toEqual([64, '', 1]);
      expect(lines[0]).toMatch(/^install-worker: worker id: got "[^\u001b]*"; must /);
    }
    for (const id of ['a', '1.2_3-', 'x'.repeat(100)]) {
      expect(workerIdSchema.safeParse(id).success).toBe(true);
      expect(run([id, '--dry-run'], { shell }).status).toBe(0);
    }
    expect(asked()).toEqual([]);
  });
});

describe('the command line', () => {
  test('without an id, or with an option in its place, is refused with what is wanted', () => {
    expect(run([])).toMatchObject({ status: 64, stderr: expect.stringContaining('a worker id is missing, as in: ') });
    expect(run(['--user', 'a'])).toMatchObject({
      status: 64,
      stderr: expect.stringContaining('comes first: got "--user"'),
    });
  });

  test.each([{ args: ['--help'] }, { args: ['-h'] }, { args: ['alleycat-1', '--help'] }])(
    '$args shows the help',
    ({ args }) => {
      const { status, stdout, stderr } = run(args);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^Usage: scripts\/install-worker\.sh <worker-id>[\s\S]*Examples:/);
      expect(asked()).toEqual([]);
    },
  );

  test('with --dry-run says what would be done, and does nothing', () => {
    const before = readdirSync(clone);
    const { status, stdout, lines } = run(['a-1', '--dry-run']);
    expect([status, stdout, asked(), readdirSync(clone)]).toEqual([0, '', [], before]);
    expect(lines.filter((line) => line.includes('would be done'))).toHaveLength(5);
    expect(lines.at(-1)).toBe('install-worker: would be done: cape-worker service install a-1');
  });

  test('makes no log folder for options that the program refuses', () => {
    const { status, lines } = run(['a-1', '--user', '--bogus']);
    expect([status, lines.at(-1)]).toEqual([64, 'what is --bogus?']);
    expect(lines.filter((line) => line.includes('bogus'))).toHaveLength(1);
    expect(existsSync(join(clone, 'logs'))).toBe(false);
  });

  test('leaves a log folder that is elsewhere to the program', () => {
    expect(run(['a-1', '--log-dir', '/somewhere']).status).toBe(0);
    expect(existsSync(join(clone, 'logs'))).toBe(false);
  });
});

describe('where it is called from', () => {
  test('does not matter: through links, by a relative path, from any folder', () => {
    symlinkSync('a "clone" of $it/scripts/install-worker.sh', join(folder, 'relative'));
    mkdirSync(join(folder, 'elsewhere'));
    symlinkSync('../relative', join(folder, 'elsewhere', 'second link'));
    for (const [script, cwd] of [
      [join(folder, 'elsewhere', 'second link'), '/'],
      ['scripts/install-worker.sh', clone],
      ['./install-worker.sh', join(clone, 'scripts')],
    ] as const) {
      expect(run(['a-1'], { script, cwd }), script).toMatchObject({
        status: 0,
        stdout: expect.stringContaining(`ran in ${cwd}:`),
      });
    }
    expect(words().filter((line) => line?.startsWith('ci'))).toHaveLength(1);
  });

  test('outside of a clone it says so', () => {
    rmSync(join(clone, 'package-lock.json'));
    expect(run(['a-1'])).toMatchObject({ status: 1, stderr: expect.stringContaining('is no clone of cape-worker') });
  });
});

describe('a clone that is there already', () => {
  const there = (tools: boolean) => {
    mkdirSync(join(clone, 'node_modules', ...(tools ? ['typescript'] : [])), { recursive: true });
    if (tools) writeFileSync(join(clone, 'node_modules/typescript/package.json'), '{}');
    program(join(clone, 'dist/cli/main.js'), '');
    writeFileSync(join(clone, 'node_modules/.package-lock.json'), '{}');
  };

  test('of a developer keeps its tools, also where dependencies are installed anew', () => {
    there(true);
    expect(run(['a-1']).status).toBe(0);
    expect(words()).toEqual([]);
    age(join(clone, 'node_modules/.package-lock.json'), 2000);
    expect(run(['a-1']).status).toBe(0);
    expect(words()).toEqual(['ci --include=dev --no-audit --no-fund']);
  });

  test.each([
    { found: '1.0.0', words: [] },
    { found: '1.0.1', words: ['ci --include=dev --no-audit --no-fund'] },
  ])(
    'whose package-lock.json has got a new time asks npm only for other packages: $found',
    ({ found, words: asks }) => {
      there(true);
      program(join(bin, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`);
      const lock = (version: string, more = {}) =>
        JSON.stringify({ packages: { 'node_modules/a': { version }, ...more } });
      writeFileSync(join(clone, 'package-lock.json'), lock('1.0.0', { '': {}, 'node_modules/tool': { dev: true } }));
      writeFileSync(join(clone, 'node_modules/.package-lock.json'), lock(found));
      age(join(clone, 'node_modules/.package-lock.json'), 2000);
      expect(run(['a-1']).status).toBe(0);
      expect(words()).toEqual(asks);
    },
  );

  test('keeps the packages that it has where others are wanted and no registry is reached', () => {
    there(true);
    age(join(clone, 'node_modules/.package-lock.json'), 2000);
    writeFileSync(join(clone, 'offline'), '');
    expect(run(['a-1'])).toMatchObject({ status: 1, stderr: expect.stringContaining('to be installed anew, and') });
    expect(words()).toEqual([]);
  });

  test('is built where the source is newer, with the tools fetched for it where they were pruned', () => {
    there(true);
    age(join(clone, 'dist/cli/main.js'), 2000);
    expect(run(['a-1']).lines).toContain('install-worker: building (npm run build)');
    expect(words()).toEqual(['run build']);
    rmSync(join(clone, 'node_modules/typescript'), { recursive: true });
    age(join(clone, 'dist/cli/main.js'), 2000);
    expect(run(['a-1']).status).toBe(0);
    expect(words().slice(1)).toEqual([
      'ci --include=dev --no-audit --no-fund',
      'prune --omit=dev --no-save --no-audit --no-fund --offline',
    ]);
  });

  test('is built where a build was interrupted, or npm runs no scripts of packages', () => {
    there(true);
    chmodSync(join(clone, 'dist/cli/main.js'), 0o644);
    expect(run(['a-1']).status).toBe(0);
    rmSync(join(clone, 'node_modules'), { recursive: true });
    rmSync(join(clone, 'dist'), { recursive: true });
    writeFileSync(join(clone, 'no-prepare'), '');
    expect(run(['a-1']).status).toBe(0);
    expect(words().map((line) => line?.split(' -')[0])).toEqual(['run build', 'ci', 'run build', 'prune']);
  });

  test('is installed anew where npm was interrupted', () => {
    there(false);
    rmSync(join(clone, 'node_modules/.package-lock.json'));
    expect(run(['a-1']).status).toBe(0);
    expect(words()[0]).toMatch(/^ci /);
  });
});

describe('Node', () => {
  const elsewhere = ['/usr/local/bin/node', '/opt/homebrew/bin/node', '/home/linuxbrew/.linuxbrew/bin/node'].filter(
    existsSync,
  );
  if (elsewhere.length > 0) console.log(`a machine without Node is not tested: ${elsewhere.join(', ')} would be found`);
  const bare = elsewhere.length === 0;

  test.runIf(bare).each(['18.20.4', '20.18.9', '19.99.0'])('%s is too old', (version) => {
    program(join(bin, 'node'), NODE.replaceAll('VERSION', version));
    expect(run(['a-1'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`no Node 20.19 or newer is found; ${bin}/node is ${version}; install one`),
    });
  });

  test.runIf(bare)('that is missing is asked for', () => {
    rmSync(join(bin, 'node'));
    expect(run(['a-1'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('no Node 20.19 or newer is found; install one'),
    });
  });

  test.runIf(bare)('of a version manager is found where PATH has none or an old one, the newest of them', () => {
    const nvm = join(folder, 'home', '.nvm/versions/node');
    const fnm = join(folder, 'home', '.local/share/fnm/node-versions/v22.9.0/installation/bin');
    program(join(nvm, 'v22.10.1/bin/node'), NODE.replaceAll('VERSION', '22.10.1'));
    program(join(nvm, 'v18.1.0/bin/node'), NODE.replaceAll('VERSION', '18.1.0'));
    program(join(fnm, 'node'), NODE.replaceAll('VERSION', '22.9.0'));
    program(join(bin, 'node'), NODE.replaceAll('VERSION', '18.20.4'));
    expect(run(['a-1'])).toMatchObject({
      status: 0,
      stderr: expect.stringContaining(`Node 22.10.1: ${nvm}/v22.10.1/bin/node`),
    });
  });

  test('on PATH goes before newer ones elsewhere', () => {
    program(join(folder, 'home', '.nvm/versions/node/v24.0.0/bin/node'), NODE.replaceAll('VERSION', '24.0.0'));
    expect(run(['a-1']).stderr).toContain(`Node 20.19.0: ${bin}/node`);
  });
});

describe('npm', () => {
  test('is not told the database: packages have scripts of their own', () => {
    expect(run(['a-1'], { env: { DATABASE_URL: 'postgres://cape:secret@db/cape' } }).status).toBe(0);
    expect(asked().join()).toMatch(/^ci .*\)/);
    expect(asked().join()).not.toContain('secret');
  });

  test('that can not reach its registry ends it in two lines, unless it has kept what is needed', () => {
    writeFileSync(join(clone, 'offline'), '');
    const { status, stdout, lines } = run(['a-1']);
    expect([status, stdout]).toEqual([1, '']);
    expect(lines.slice(2)).toEqual([
      "install-worker: the registry of npm can't be reached (ENOTFOUND): trying with what npm has kept of earlier times",
      "install-worker: npm ci: no network: the registry of npm can't be reached (ENOTCACHED); connect this machine and run this again",
    ]);
    writeFileSync(join(clone, 'kept'), '');
    expect(run(['a-1']).stderr).not.toContain('no network');
    expect(words()[0]).toBe('ci --include=dev --no-audit --no-fund --offline');
  });

  test('that knows no ping is asked all the same', () => {
    writeFileSync(join(clone, 'no-ping'), '');
    expect(run(['a-1'])).toMatchObject({ status: 0, stderr: expect.not.stringContaining('reached') });
    expect(words()[0]).toBe('ci --include=dev --no-audit --no-fund');
  });

  test('that fails has its last lines shown', () => {
    writeFileSync(join(clone, 'broken'), '');
    expect(run(['a-1'])).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/the disk is on fire\ninstall-worker: npm ci failed in /),
    });
  });

  test('that is missing is asked for, and is not needed where all is there', () => {
    expect(run(['a-1']).status).toBe(0);
    rmSync(join(bin, 'npm'));
    expect(run(['a-1']).status).toBe(0);
    rmSync(join(clone, 'node_modules'), { recursive: true });
    expect(run(['a-1'])).toMatchObject({ status: 1, stderr: expect.stringContaining('npm is not found') });
  });

  test('needs git only where a dependency comes from a repository', () => {
    writeFileSync(join(clone, 'package-lock.json'), '{ "resolved": "git+ssh://git@example.com/x.git" }\n');
    expect(run(['a-1'])).toMatchObject({ status: 1, stderr: expect.stringContaining('git is not found') });
  });
});

const root = process.getuid?.() === 0;
if (!root) console.log("sudo in another user's clone is not tested: this is not root");

describe.runIf(root)('by root', () => {
  const NOBODY = 65_534;
  const giveAway = (path: string) => {
    chownSync(path, NOBODY, NOBODY);
    if (statSync(path).isDirectory()) for (const name of readdirSync(path)) giveAway(join(path, name));
  };

  test("in another user's clone npm is run as that user, and leaves nothing of root's", () => {
    giveAway(clone);
    expect(run(['a-1'], { env: { SUDO_USER: 'nobody' } }).status).toBe(0);
    expect(asked()).toHaveLength(2);
    for (const line of asked()) expect(line).toMatch(/\(user 65534, .*, home (?!.*install)/);
    for (const name of ['node_modules', 'dist/cli/main.js', 'logs'])
      expect(statSync(join(clone, name)).uid).toBe(NOBODY);
  });

  test.runIf(existsSync('/etc/debian_version'))('the same where there is only su', () => {
    rmSync(join(bin, 'runuser'));
    giveAway(clone);
    expect(run(['a-1']).status).toBe(0);
    expect(asked().map((line) => /user \d+/.exec(line)?.[0])).toEqual(['user 65534', 'user 65534']);
  });

  test('a clone of nobody that this machine knows is refused', () => {
    giveAway(clone);
    chownSync(clone, 54_321, 54_321);
    expect(run(['a-1'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('belongs to 54321, which is no account'),
    });
  });

  test('the name of who is behind sudo is never run as a command', () => {
    expect(run(['a-1'], { env: { SUDO_USER: '$(touch hacked)' } }).status).toBe(0);
    expect(run(['a-1'], { env: { SUDO_USER: 'x;touch hacked' } }).status).toBe(0);
    expect([folder, clone].filter((path) => existsSync(join(path, 'hacked')))).toEqual([]);
  });

  test("somebody else's clone can't be made ready without root, but installed from", () => {
    const asNobody = {
      shell: ['/bin/sh', '-c', 'umask 022; exec runuser -u nobody -- env PATH="$PATH" HOME=/ /bin/sh "$@"', 'x'],
    };
    expect(run(['a-1'], asNobody)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('belongs to root: run this as root, or by sudo'),
    });
    expect(run(['a-1']).status).toBe(0);
    expect(run(['a-1'], asNobody)).toMatchObject({ status: 0, stdout: expect.stringContaining('[a-1]') });
  });
});

const shellcheck = pathOf('shellcheck');
if (!shellcheck) console.log('install-worker.sh is not checked by shellcheck: it is not installed');

test.runIf(shellcheck !== undefined)('shellcheck has nothing to say', () => {
  const { status, stdout } = spawnSync(shellcheck as string, ['--shell=sh', SCRIPT], { encoding: 'utf8' });
  expect([status, stdout]).toEqual([0, '']);
});
