/** What commands print and say of themselves, as events in the database while they run. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { startProxy } from '../support/proxy.js';
import { until } from '../support/until.js';
import { startWorker, tempFolder } from '../support/worker.js';

const { url: databaseUrl, sql } = await createTestDatabase();
const { add, ended, clear } = issuesOf(sql);

beforeEach(clear);

interface Told {
  readonly seq: number;
  readonly kind: string;
  readonly data: Record<string, unknown> & { offset: number; text: string; skipped?: number };
}

const told = (id: number) =>
  sql<Told[]>`select seq, kind, coalesce(data, '{}') as data from cape_events where issue_id = ${id} order by seq`;
const kinds = (events: readonly Told[]) => events.map(({ kind }) => kind);
const outputs = (events: readonly Told[]) => events.filter(({ kind }) => kind === 'output');
const textOf = (events: readonly Told[]) =>
  outputs(events)
    .map(({ data }) => data.text)
    .join('');

/** A script that waits for the test: `$GO` is a file that it makes. */
function script(body: string): { command: string; go: (line?: string) => void; dir: string } {
  const dir = tempFolder();
  const file = join(dir, 'run.sh');
  const go = join(dir, 'go');
  writeFileSync(file, `GO='${go}'\nwait_for() { while ! grep -qs "$1" "$GO"; do sleep 0.02; done; }\n${body}\n`);
  return { command: `sh '${file}'`, dir, go: (line = 'on') => appendFileSync(go, `${line}\n`) };
}

describe('output', () => {
  test('is there while the command runs, soon after each line, and all of it before the end is told', async () => {
    const { command, go } = script('echo first; wait_for a; echo second; wait_for b; printf last');
    startWorker({ databaseUrl, command });
    const id = await add('Fix the login bug');
    await until(async () => textOf(await told(id)) === 'first\n', { what: 'the first line' });
    go('a');
    await until(async () => textOf(await told(id)) === 'first\nsecond\n', { what: 'the second line' });
    go('b');
    await ended(id);
    const events = await told(id);
    expect(kinds(events)).toEqual(['started', 'output', 'output', 'output', 'completed']);
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(outputs(events).map(({ data }) => [data.offset, data.text])).toEqual([
      [0, 'first\n'],
      [6, 'second\n'],
      [13, 'last'],
    ]);
  });

  test('of a command that ends at once rides ahead of its end; one that prints nothing tells nothing', async () => {
    startWorker({
      databaseUrl,
      command: `sh -c 'test "$1" = quiet || { echo "hello $1"; echo oops >&2; }' {id} {description}`.replace(
        '{id} ',
        'x ',
      ),
    });
    const [loud, quiet] = [await add('world'), await add('quiet')];
    await Promise.all([ended(loud), ended(quiet)]);
    expect(kinds(await told(loud))).toEqual(['started', 'output', 'completed']);
    expect(textOf(await told(loud))).toBe('hello world\noops\n');
    expect(kinds(await told(quiet))).toEqual(['started', 'completed']);
  });

  test('is cut between characters, keeps its colours, and has NUL replaced', async () => {
    const program = join(tempFolder(), 'print.cjs');
    writeFileSync(
      program,
      `const { writeSync } = require('node:fs'); const bytes = Buffer.from('\\u001b[31mrot\\u001b[0m \\0 ' + '\\u{1f680}\\u00fc'.repeat(20000));
       let at = 0; const step = () => { if (at >= bytes.length) return; writeSync(1, bytes.subarray(at, at += 4999)); setTimeout(step, 8); }; step();`,
    );
    startWorker({ databaseUrl, command: `'${process.execPath}' '${program}'` });
    const id = await add('x');
    await ended(id);
    const events = outputs(await told(id));
    expect(textOf(events)).toBe(`\u001b[31mrot\u001b[0m \ufffd ${'🚀ü'.repeat(20000)}`);
    expect(events.length).toBeGreaterThan(2);
  });

  test('keeps its beginning and its end within the limit, and says what is left out', async () => {
    const limit = 256 * 1024;
    const { command } = script(
      `i=0; while [ $i -lt 60 ]; do i=$((i+1)); head -c 20000 /dev/zero | tr '\\0' 'x'; echo " $i"; sleep 0.03; done`,
    );
    const { dir } = startWorker({ databaseUrl, command, outputEvents: limit });
    const id = await add('x');
    await ended(id);
    const all = readFileSync(join(dir, 'logs', 'issues', String(id), '1.log'), 'utf8');
    const events = outputs(await told(id));
    expect(textOf(events).length).toBeLessThan(1.5 * limit);
    expect(events[0]!.data.offset).toBe(0);
    let end = 0;
    let skipped = 0;
    for (const { data } of events) {
      expect(data.offset - end).toBe(data.skipped ?? 0);
      expect(data.text).toBe(all.slice(data.offset, data.offset + data.text.length));
      skipped += data.skipped ?? 0;
      end = data.offset + data.text.length;
    }
    expect(end).toBe(all.length);
    expect(skipped).toBeGreaterThan(all.length - 1.5 * limit);
    const head = events.findIndex(({ data }) => data.skipped !== undefined);
    expect(
      events
        .slice(0, head)
        .map(({ data }) => data.text)
        .join('').length,
    ).toBeGreaterThanOrEqual(limit / 2);
  });

  test('of a flood is followed in bounded memory, its end with it', async () => {
    const { command } = script(`yes 0123456789abcdef0123456789abcdef | head -c 60000000; echo; echo the end`);
    startWorker({ databaseUrl, command, outputEvents: '1MiB' });
    const id = await add('x');
    const before = process.memoryUsage().rss;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
    await ended(id);
    clearInterval(watch);
    const events = outputs(await told(id));
    expect(textOf(events).endsWith('the end\n')).toBe(true);
    expect(textOf(events).length).toBeLessThan(2 * 1024 * 1024);
    expect(events.reduce((sum, { data }) => sum + (data.skipped ?? 0) + data.text.length, 0)).toBe(60_000_009);
    expect(most - before).toBeLessThan(100 * 1024 * 1024);
  });

  test('that can not be read is left out, and holds up nobody else', async () => {
    const { command, go } = script(`test "$1" = fine || mkdir "\${CAPE_EVENTS_FILE%.events}.log"
echo first; wait_for "$1"; echo last`);
    const { lines } = startWorker({ databaseUrl, command: `${command} {description}`, concurrency: 2 });
    const bad = await add('broken');
    await until(() => lines.some((line) => /issue \d+: output of attempt 1 can't be read.*EISDIR/.test(line)), {
      what: 'the warning',
    });
    const fine = await add('fine');
    await until(async () => textOf(await told(fine)) === 'first\n', { what: 'the other one' });
    go('fine');
    go('broken');
    expect(await ended(fine)).toMatchObject({ status: 'completed', result: 'first\nlast\n' });
    expect(await ended(bad)).toMatchObject({ status: 'completed', result: 'first\nlast\n' });
    expect(lines.filter((line) => line.includes('can not be written to the database'))).toEqual([]);
    expect(kinds(await told(bad)).at(-1)).toBe('completed');
  });

  test('is not told with a limit of 0', async () => {
    startWorker({ databaseUrl, command: `sh -c 'echo hello'`, outputEvents: 0 });
    const id = await add('x');
    await ended(id);
    expect(kinds(await told(id))).toEqual(['started', 'completed']);
  });

  test('that was printed while the database was away follows when it is back', async () => {
    const proxy = await startProxy(databaseUrl);
    const { command, go } = script(
      'echo first; wait_for a; for i in 1 2 3; do echo "line $i"; sleep 0.1; done; wait_for b; echo last',
    );
    startWorker({ databaseUrl: proxy.url(databaseUrl), command });
    const id = await add('x');
    await until(async () => textOf(await told(id)) === 'first\n', { what: 'the first line' });
    proxy.mode = 'refuse';
    proxy.reset();
    go('a');
    await new Promise((done) => setTimeout(done, 600));
    expect(textOf(await told(id))).toBe('first\n');
    proxy.mode = 'pass';
    await until(async () => textOf(await told(id)) === 'first\nline 1\nline 2\nline 3\n', { what: 'what was missed' });
    go('b');
    await ended(id);
    expect(textOf(await told(id))).toBe('first\nline 1\nline 2\nline 3\nlast\n');
    await proxy.close();
  });
});

test('a handler says how far it is, and what it likes to note, while it works and with its end', async () => {
  let go = () => {};
  const gone = new Promise<void>((done) => {
    go = done;
  });
  startWorker({
    databaseUrl,
    handler: async (_, { progress, note }) => {
      for (let n = 0; n <= 40; n++) progress(n, 'building');
      note('half done', 'warn');
      await gone;
      progress(250);
      note('done');
    },
  });
  const id = await add('x');
  const own = async () => (await told(id)).map(({ kind, data }) => [kind, data]);
  await until(async () => (await own()).length === 3, { what: 'what it says while it works' });
  expect((await own()).slice(1)).toEqual([
    ['progress', { percent: 40, message: 'building' }],
    ['log', { level: 'warn', message: 'half done' }],
  ]);
  go();
  await ended(id);
  expect((await own()).slice(3)).toEqual([
    ['progress', { percent: 100, message: null }],
    ['log', { level: 'info', message: 'done' }],
    ['completed', {}],
  ]);
});

describe('a command says', () => {
  test('how far it is, by marks in its output and by lines in its events file', async () => {
    const { command, go } = script(`echo '::cape progress 40 building'
printf '::cape pro'; sleep 0.1; echo 'gress - linking it'
echo '{"type":"progress","percent":250,"message":"tests"}' >> "$CAPE_EVENTS_FILE"; wait_for a
echo '{"type":"log","level":"warn","message":"slow"}' >> "$CAPE_EVENTS_FILE"
echo '{"type":"metadata","branch":"fix-7","n":[1,2]}' >> "$CAPE_EVENTS_FILE"
printf '{"type":"result","result":"done in 3 steps"}' >> "$CAPE_EVENTS_FILE"`);
    startWorker({ databaseUrl, command });
    const id = await add('x');
    const own = async () => (await told(id)).filter(({ kind }) => !['started', 'output', 'completed'].includes(kind));
    await until(async () => (await own()).length >= 2 && (await own()).some(({ data }) => data.percent === 100), {
      what: 'progress while it runs',
    });
    go('a');
    expect(await ended(id)).toMatchObject({ result: 'done in 3 steps' });
    const events = (await own()).map(({ kind, data }) => [kind, data]);
    expect(events).toContainEqual(['progress', { percent: null, message: 'linking it' }]);
    expect(events).toContainEqual(['progress', { percent: 100, message: 'tests' }]);
    expect(events.slice(-3)).toEqual([
      ['log', { level: 'warn', message: 'slow' }],
      ['metadata', { branch: 'fix-7', n: [1, 2] }],
      ['result', { result: 'done in 3 steps' }],
    ]);
    expect((await told(id)).at(-1)!.kind).toBe('completed');
  });

  test('nonsense, which becomes a warning and nothing worse', async () => {
    const { command } = script(`echo '::cape dance'
printf 'no json\\n[1]\\n{"type":"x"}\\n{"type":"progress","percent":"many"}\\n' >> "$CAPE_EVENTS_FILE"
printf '{"type":"log","message":"nul \\\\u0000 and half \\\\ud83d of a pair \\\\\\\\u0000"}\\n' >> "$CAPE_EVENTS_FILE"
head -c 300000 /dev/zero | tr '\\0' 'x' >> "$CAPE_EVENTS_FILE"; printf '\\n{"type":"log","message":"after"}\\n' >> "$CAPE_EVENTS_FILE"
sleep 1`);
    startWorker({ databaseUrl, command });
    const id = await add('x');
    expect(await ended(id)).toMatchObject({ status: 'completed' });
    const logs = (await told(id)).filter(({ kind }) => kind === 'log').map(({ data }) => data.message);
    expect(logs).toHaveLength(8);
    expect(logs[0]).toBe('not understood: ::cape dance');
    expect(logs).toContain('nul \ufffd and half \ufffd of a pair \\u0000');
    expect(logs.at(-2)).toMatch(/longer than 131072 bytes/);
    expect(logs.at(-1)).toBe('after');
  });

  test('what is nested thousands of levels deep, which holds up neither its end nor what others say', async () => {
    const { command } = script(`deep() { head -c 5000 /dev/zero | tr '\\0' "$1"; }
nested() { printf '{"type":"%s","%s":' "$1" "$2"; deep '['; deep ']'; echo '}'; }
{ nested metadata data; nested progress percent; nested log message; nested result result; } >> "$CAPE_EVENTS_FILE"
echo end; sleep 0.6`);
    const { lines } = startWorker({ databaseUrl, command });
    const ids = [await add('x'), await add('y')];
    for (const id of ids) {
      expect(await ended(id)).toMatchObject({ status: 'completed', result: 'end\n' });
      const events = await told(id);
      expect(textOf(events)).toBe('end\n');
      expect(events.filter(({ data }) => String(data.message).includes('levels deep'))).toHaveLength(4);
    }
    expect(lines.filter((line) => line.includes('can not be written'))).toEqual([]);
  });

  test('nothing through what is no file', async () => {
    const { command } = script(`mkfifo "$CAPE_EVENTS_FILE"; sleep 0.6; echo end`);
    startWorker({ databaseUrl, command });
    const id = await add('x');
    expect(await ended(id)).toMatchObject({ status: 'completed' });
    expect(kinds(await told(id))).toEqual(['started', 'output', 'completed']);
  });

  test('nothing through a link to itself', async () => {
    const { command } = script(`ln -s "$CAPE_EVENTS_FILE" "$CAPE_EVENTS_FILE"; sleep 0.6; echo end`);
    startWorker({ databaseUrl, command });
    const id = await add('x');
    expect(await ended(id)).toMatchObject({ status: 'completed', result: 'end\n' });
    expect(kinds(await told(id))).toEqual(['started', 'output', 'completed']);
  });

  test('its result between two marks, also where that is longer than the tail', async () => {
    const { command } = script(
      `echo before; echo AGENT_RESPONSE_START; head -c 20000 /dev/zero | tr '\\0' 'y'; echo; echo AGENT_RESPONSE_END; echo after`,
    );
    startWorker({ databaseUrl, command });
    expect((await ended(await add('x'))).result).toBe('y'.repeat(20000));
  });
});
