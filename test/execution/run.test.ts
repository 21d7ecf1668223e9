import { existsSync, readFileSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identify } from '../../src/execution/processes.js';
import { type Bench, bench, eventually, far } from './harness.js';

let b: Bench;
beforeAll(() => {
  b = bench();
});
afterAll(() => b.close());

describe('a command that ends by itself', () => {
  it.each([
    [0, 'succeeded'],
    [1, 'failed'],
    [42, 'failed'],
    [75, 'snoozed'],
    [64, 'invalid'],
    [126, 'failed'],
    [127, 'failed'],
    [255, 'failed'],
  ])('with exit code %i has %s', async (exitCode, kind) => {
    expect(await b.sh(`exit ${exitCode}`)).toMatchObject({ kind, exitCode, signal: null });
  });

  it.each(['TERM', 'KILL', 'SEGV', 'HUP', 'PIPE', 'USR1'])(
    'by SIG%s, which nobody of us sent, has failed',
    async (name) => {
      const outcome = await b.sh(`kill -${name} $$; sleep 5`);
      expect(outcome).toMatchObject({ kind: 'failed', exitCode: null, signal: `SIG${name}` });
      expect(outcome.error).toBe(`ended by SIG${name}, which the worker did not send`);
    },
  );

  it('has failed where an inner tool is missing: its 127 is not our exec', async () => {
    expect(await b.sh('no-such-tool')).toMatchObject({ kind: 'failed', exitCode: 127 });
  });

  it('hands over its arguments exactly', async () => {
    const args = ['-n', '', ' two  words ', 'line\nbreak', `'"\\$HOME\``, '🦊 ñ', '--', '{id}'];
    const outcome = await b.start('/usr/bin/printf', ['<%s>', ...args]).ended;
    expect(outcome.tail).toBe(args.map((arg) => `<${arg}>`).join(''));
  });
});

describe('a command that we can not start', () => {
  it("is not the issue's fault where the program is missing", async () => {
    const run = b.start('/no/such program', []);
    expect(await run.started).toBeNull();
    expect(await run.ended).toEqual({
      kind: 'unrunnable',
      error: "can't start /no/such program: no such file (ENOENT)",
    });
  });

  it('nor where it may not be executed', async () => {
    const { kind, error } = await b.start('/etc/passwd', []).ended;
    expect([kind, error]).toEqual(['unrunnable', "can't start /etc/passwd: not executable for this user (EACCES)"]);
  });

  it('nor where its interpreter is missing, which is told apart from its own absence', async () => {
    const script = join(b.dir, 'orphan');
    await writeFile(script, '#!/no/such/interpreter\n');
    await chmod(script, 0o755);
    const { kind, error } = await b.start(script, []).ended;
    expect([kind, error]).toEqual([
      'unrunnable',
      `can't start ${script}: the interpreter in its first line does not exist (ENOENT)`,
    ]);
  });

  it('nor where the working directory is missing, which is named', async () => {
    const { kind, error } = await b.start('/bin/true', [], { cwd: '/no/such folder' }).ended;
    expect(kind).toBe('unrunnable');
    expect(error).toContain("can't use the working directory /no/such folder: ENOENT");
  });

  it("is the issue's fault where an argument is longer than the kernel takes", async () => {
    const { kind, error } = await b.start('/bin/true', ['x'.repeat(200_000)]).ended;
    expect(kind).toBe('invalid');
    expect(error).toContain('use a --command template without {description}');
  });

  it('is refused for good where an argument holds NUL', async () => {
    expect(await b.start('/bin/true', ['a\0b']).ended).toMatchObject({ kind: 'invalid' });
  });

  it('is a bug told in words where its id is in use', async () => {
    const first = b.start('/bin/sleep', ['30'], { id: 'twice' });
    const second = b.start('/bin/true', [], { id: 'twice' });
    expect(await second.ended).toMatchObject({ kind: 'unrunnable', error: 'run twice is already under way' });
    first.end('cancelled');
    await first.ended;
  });
});

describe('the world of a command', () => {
  it('has no terminal, an empty stdin, and nothing open but that and its output', async () => {
    const { tail } = await b.sh('wc -c; tty; (: </dev/tty); ls /proc/self/fd | tr "\\n" " "');
    expect(tail).toContain('0\nnot a tty\n');
    expect(tail).toMatch(/tty: .*(No such device|Device not configured)/i);
    if (existsSync('/proc/self/fd')) expect(tail?.trim().split('\n').at(-1)).toBe('0 1 2 3');
  });

  it('has the default signal dispositions, whatever its keeper ignores', async () => {
    if (!existsSync('/proc/self/status')) return console.warn('skipped: there is no /proc/self/status here');
    const { tail } = await b.sh('grep -E "^Sig(Blk|Ign):" /proc/self/status');
    expect(tail).toMatch(/SigBlk:\s+0{16}\nSigIgn:\s+0{16}\n/);
  });

  it('is a session and a group of its own', async () => {
    const run = b.start('/bin/sh', ['-c', 'ps -o pid=,pgid=,sid= -p $$']);
    const pid = await run.started;
    expect((await run.ended).tail?.trim().split(/\s+/).map(Number)).toEqual([pid, pid, pid]);
  });

  it('has the environment of the spec and the marks by which it is found, nothing else', async () => {
    const { tail } = await b.start('/usr/bin/env', [], { env: { ONE: '1' }, token: 'the-token' }).ended;
    const names = tail
      ?.trim()
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(names?.sort()).toEqual(['CAPE_KEEPER', 'CAPE_RUN', 'ONE']);
    expect(tail).toContain('CAPE_RUN=the-token\n');
  });

  it('is what the kernel ends first when memory runs out', async () => {
    if (!existsSync('/proc/self/oom_score_adj')) return console.warn('skipped: there is no oom_score_adj here');
    const run = b.start('/bin/sleep', ['30']);
    const pid = await run.started;
    expect(
      await eventually('it is raised', () => readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim() === '500'),
    ).toBe(true);
    run.end('cancelled');
    await run.ended;
  });
});

describe('the reason for an end', () => {
  it('is told with the limit for a timeout', async () => {
    const outcome = await b.sh('echo begun; sleep 30', { timeoutMs: 300 });
    expect(outcome).toMatchObject({ kind: 'timed_out', signal: 'SIGTERM', tail: 'begun\n' });
    expect(outcome.error).toBe('ran longer than the 0.3 s allowed');
  });

  it('is told for a command that has gone quiet, and only for that', async () => {
    const quiet = b.sh('echo x; sleep 30', { idleTimeoutMs: 600 });
    const busy = b.sh('for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done', { idleTimeoutMs: 600 });
    expect(await quiet).toMatchObject({ kind: 'timed_out', error: 'printed nothing for 0.6 s' });
    expect(await busy).toMatchObject({ kind: 'succeeded' });
  });

  it('is the first of several', async () => {
    const run = b.start('/bin/sleep', ['30']);
    await run.started;
    run.end('cancelled');
    run.end('interrupted');
    expect(await run.ended).toMatchObject({ kind: 'cancelled' });
  });

  it('does not turn a success into a cancel: a command that exits 0 before our signal has completed', async () => {
    const run = b.start('/bin/sh', ['-c', 'sleep 0.3'], { cwd: b.dir });
    const pid = await run.started;
    const keeper = b.executor.helpers!.keeper.pid;
    process.kill(keeper, 'SIGSTOP'); // it can neither see the exit nor send a signal
    await eventually('the command has ended', () => identify(pid!) === null);
    run.end('cancelled');
    process.kill(keeper, 'SIGCONT');
    expect(await run.ended).toMatchObject({ kind: 'succeeded', exitCode: 0 });
  });

  it('stays a cancel where the command ends with exit 0 upon our signal', async () => {
    const run = b.start('/bin/sh', ['-c', 'trap "exit 0" TERM; echo ready; while :; do sleep 0.05; done'], {
      id: 'trap',
    });
    await eventually('it is ready', () => b.output('trap') !== '');
    run.end('cancelled');
    expect(await run.ended).toMatchObject({ kind: 'cancelled', exitCode: 0 });
  });

  it('is "interrupted" once a deadline passes that nobody has put off', async () => {
    const soon = () => ({ ...far(), mono: Number(process.hrtime.bigint()) / 1e6 + 500 });
    const left = b.start('/bin/sleep', ['30'], {}, soon());
    const kept = b.start('/bin/sleep', ['1'], { id: 'kept' }, soon());
    await kept.started;
    b.executor.confirm([
      ['kept', far()],
      ['unknown', far()],
    ]);
    expect(await left.ended).toMatchObject({
      kind: 'interrupted',
      error: 'ended because its lease could not be confirmed in time',
    });
    expect(await kept.ended).toMatchObject({ kind: 'succeeded' });
  });

  it('keeps a command from starting at all whose deadline had passed before the keeper read of it', async () => {
    const file = join(b.dir, 'ran');
    const run = b.start('/usr/bin/touch', [file], {}, { ...far(), mono: 0 });
    expect(await run.started).toBeNull();
    expect(await run.ended).toMatchObject({ kind: 'interrupted' });
    expect(existsSync(file)).toBe(false);
  });

  it('needs no grace after kill()', async () => {
    const run = b.start('/bin/sh', ['-c', 'trap "" TERM; echo ready; sleep 30'], { id: 'stubborn', graceMs: 30_000 });
    await eventually('it is ready', () => b.output('stubborn') !== '');
    const began = performance.now();
    run.end('interrupted');
    run.kill();
    expect(await run.ended).toMatchObject({ kind: 'interrupted', signal: 'SIGKILL' });
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
