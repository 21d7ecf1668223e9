/** What `service status` finds wrong with the files that a service names, and what it makes of a manager that is away. */
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isRunning, jsonOf, printReport } from '../../src/cli/service-report.js';
import { waitOrInterrupt } from '../../src/cli/waiting.js';
import { CapeError } from '../../src/core/errors.js';
import { safeJson } from '../../src/core/text.js';
import { lookAtWork } from '../../src/service/at-work.js';
import { healthProblems, versionOnDisk } from '../../src/service/health.js';
import type { InstalledService } from '../../src/service/installed.js';
import type { ServiceManager } from '../../src/service/manager.js';
import { reportOn } from '../../src/service/report.js';
import type { ServiceSpec } from '../../src/service/spec.js';
import { fakeMachine } from './fake-systemd.js';

let dir: string;
let spec: ServiceSpec;
const uid = process.getuid?.() ?? 0;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cape health '));
  spec = {
    workerId: 'a-1',
    scope: 'user',
    account: { name: 'me', uid, gid: 0, group: 'us', home: dir },
    node: process.execPath,
    program: join(dir, 'dist/cli/main.js'),
    envFile: join(dir, 'a-1.env'),
    workingDir: dir,
    logDir: dir,
    path: '/usr/bin:/bin',
    harden: false,
    withDatabase: false,
    graceMs: 10_000,
  };
  mkdirSync(join(dir, 'dist/cli'), { recursive: true });
  writeFileSync(spec.program, '');
  writeFileSync(join(dir, 'package.json'), '{"version":"1.2.3"}');
  writeFileSync(spec.envFile, 'DATABASE_URL=postgres://me:hunter2hunter2@127.0.0.1:1/db\n', { mode: 0o600 });
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('the files of a service', () => {
  test('where all is well there is nothing to say', () => {
    expect(healthProblems(spec)).toEqual([]);
    expect(versionOnDisk(dir)).toBe('1.2.3');
    expect(versionOnDisk(join(dir, 'none'))).toBeNull();
  });

  test('a Node or a program that is gone, as after an upgrade by nvm', () => {
    expect(healthProblems({ ...spec, node: join(dir, 'v20/node'), program: join(dir, 'gone.js') })).toEqual([
      expect.stringMatching(/^Node .*v20\/node is gone: cape-worker service upgrade a-1 /),
      expect.stringMatching(/^the program .*gone\.js is gone: /),
    ]);
    symlinkSync(join(dir, 'nowhere'), join(dir, 'link'));
    expect(healthProblems({ ...spec, node: join(dir, 'link') })).toEqual([expect.stringContaining('is gone')]);
    expect(healthProblems({ ...spec, node: dir })).toEqual([expect.stringMatching(/^Node .* is no file: /)]);
  });

  test('a Node that is no program any more', () => {
    // Root may execute what anybody may; this nobody may.
    writeFileSync(join(dir, 'node'), '', { mode: 0o600 });
    expect(healthProblems({ ...spec, node: join(dir, 'node') })).toEqual([
      expect.stringMatching(/^Node .*\/node can't be executed \(EACCES\): /),
    ]);
  });

  test('an env file that others can read, is gone, or belongs to somebody else', () => {
    chmodSync(spec.envFile, 0o640);
    expect(healthProblems(spec)).toEqual([expect.stringMatching(/ has mode 0640, not 0600: chmod 600$/)]);
    chmodSync(spec.envFile, 0o600);
    const other = { ...spec.account, name: 'other', uid: uid + 1 };
    expect(healthProblems({ ...spec, account: other })).toEqual([
      expect.stringMatching(new RegExp(` belongs to user ${uid}, not to other \\(${uid + 1}\\): chown$`)),
    ]);
    rmSync(spec.envFile);
    expect(healthProblems(spec)).toEqual([
      expect.stringMatching(/^env file .* is gone: cape-worker service install a-1$/),
    ]);
  });

  test('an env file that is a link or a folder: its mode is not what is wrong', () => {
    rmSync(spec.envFile);
    symlinkSync(join(dir, 'elsewhere'), spec.envFile);
    const remedy = 'put the file itself there, or cape-worker service install a-1 --env-file FILE';
    expect(healthProblems(spec)).toEqual([`env file ${spec.envFile} is a link: ${remedy}`]);
    rmSync(spec.envFile);
    mkdirSync(spec.envFile);
    expect(healthProblems(spec)).toEqual([`env file ${spec.envFile} is a folder: ${remedy}`]);
  });

  test('folders that are missing', () => {
    expect(healthProblems({ ...spec, workingDir: join(dir, 'w'), logDir: spec.program })).toEqual([
      expect.stringMatching(/^the working folder .*\/w is gone: make it again, or .*--working-dir FOLDER$/),
      expect.stringMatching(
        /^the log folder .* is no folder: cape-worker service install a-1 makes it, or .* --log-dir$/,
      ),
    ]);
  });
});

/** A manager that can't be asked, as a user's own without a session. */
function away(): InstalledService {
  const manager = {
    kind: 'systemd',
    fileOf: () => '/x/cape-worker-a-1.service',
    nameOf: () => 'cape-worker-a-1.service',
    render: ({ node, graceMs, logDir }: ServiceSpec) => `node=${node}\ngrace=${graceMs}\nlogs=${logDir}\n`,
    state: async () => {
      throw new CapeError('refused', 'Failed to connect to bus');
    },
    lastLines: async () => ['said hunter2hunter2 \u001b[31mred'],
  } as unknown as ServiceManager;
  const text = `node=${process.execPath}\ngrace=10000\nlogs=${dir}\n`;
  return { workerId: 'a-1', scope: 'user', manager, text, spec };
}

const program = () => ({ node: process.execPath, main: spec.program, root: dir, clone: true });

function printed(work: () => void): string {
  let text = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((more) => {
    text += more;
    return true;
  });
  work();
  spy.mockRestore();
  return text;
}

describe('a report', () => {
  test('is made of what can be known: the manager and the database are away, the files are there', async () => {
    const report = await reportOn(away(), program(), 5, fakeMachine().host);
    expect(isRunning(report)).toBe(false);
    const text = printed(() => printReport(report, false));
    expect(text).toMatch(/^state +unknown: Failed to connect to bus$/m);
    expect(text).toMatch(/^issues +unknown: .*127\.0\.0\.1:1.*ECONNREFUSED/m);
    expect(jsonOf(report)).toMatchObject({ state: 'unknown', stateProblem: 'Failed to connect to bus', issues: null });
  });

  test('shows no secret of the env file, and no control character of a log', async () => {
    const report = await reportOn(away(), program(), 5, fakeMachine().host);
    const text = printed(() => printReport(report, true)) + safeJson(jsonOf(report));
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain('\u001b[31m');
  });

  test('tells what an upgrade would change, also by what was changed in the env file', async () => {
    expect((await reportOn(away(), program(), 0, fakeMachine().host)).drift).toEqual([]);
    writeFileSync(spec.envFile, 'DATABASE_URL=postgres://me@127.0.0.1:1/db\nCAPE_GRACE=20\nCAPE_LOG_DIR=/new\n');
    const report = await reportOn(away(), { ...program(), node: '/new/node' }, 0, fakeMachine().host);
    const changed = [`-node=${process.execPath}`, '-grace=10000', '+node=/new/node', '+grace=20000', '+logs=/new'];
    expect(jsonOf(report)).toMatchObject({ drift: expect.arrayContaining(changed) });
    expect(printed(() => printReport(report, false))).toMatch(/! an upgrade would change 6 lines/);
  });

  test('tells what the worker passes over in its env file', async () => {
    writeFileSync(spec.envFile, 'DATABASE_URL=postgres://me@127.0.0.1:1/db\nCAPE_COMAND=x\nhunter2\n', { mode: 0o600 });
    expect((await reportOn(away(), program(), 0, fakeMachine().host)).problems).toEqual([
      `${spec.envFile}: unknown variable CAPE_COMAND; did you mean CAPE_COMMAND?`,
      `${spec.envFile}: line 3 is not NAME=value, so it is ignored`,
    ]);
  });

  test('tells how the database is that was installed with it', async () => {
    const machine = fakeMachine();
    const service = away();
    const withDatabase = { ...service, scope: 'system' as const, spec: { ...spec, withDatabase: true } };
    const problems = async () => (await reportOn(withDatabase, program(), 0, machine.host)).problems;
    const name = 'cape-worker-postgres.service';
    expect(await problems()).toEqual([
      `its database ${name} is not installed: cape-worker service install a-1 --with-database`,
    ]);
    mkdirSync(join(machine.dir, 'etc/systemd/system'), { recursive: true });
    writeFileSync(join(machine.dir, 'etc/systemd/system', name), '');
    machine.says(name, { ActiveState: 'inactive' });
    expect(await problems()).toEqual([
      expect.stringMatching(/is inactive: (sudo )?systemctl start cape-worker-postgres/),
    ]);
    machine.says(name, { ActiveState: 'active' });
    expect(await problems()).toEqual([]);
    const report = await reportOn(withDatabase, program(), 0, machine.host);
    expect(printed(() => printReport(report, false))).toMatch(/^database +cape-worker-postgres\.service, active$/m);
  });

  test('does not wait for a database that does not answer', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    writeFileSync(spec.envFile, `DATABASE_URL=postgres://me@127.0.0.1:${port}/db\n`);
    expect(await lookAtWork(spec, 200)).toBe('the database did not answer within 0.2 s');
    silent.close();
  });
});

describe('waiting for a service', () => {
  test('a signal ends the waiting, with the code that shells use, and what fails by it is no error', async () => {
    const waited = waitOrInterrupt(() => new Promise(() => {}));
    process.emit('SIGINT', 'SIGINT');
    expect(await waited).toEqual({ interrupted: 130 });
    // systemctl hears it too, and may be the first to tell.
    const failing = waitOrInterrupt(() => Promise.reject(new Error('systemctl was ended by SIGINT')));
    process.emit('SIGINT', 'SIGINT');
    expect(await failing).toEqual({ interrupted: 130 });
  });

  test('without one it gives what came of it', async () => {
    expect(await waitOrInterrupt(async () => 7)).toEqual({ done: 7 });
    await expect(waitOrInterrupt(() => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  });
});
