/** The command line itself: what is wrong with it is said in one line, and exit code 64. */
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.js';
import { parse } from '../../src/cli/program.js';
import { cli } from './run-cli.js';

async function refusal(...args: string[]): Promise<string> {
  const error = await parse(args).then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toMatchObject({ kind: 'usage', exitCode: 64 });
  expect(error.message).not.toContain('\n');
  return error.message;
}

describe('a bad command line', () => {
  test.each([
    [['isues'], 'unknown command "isues"; did you mean "issues"?'],
    [['issues', 'ad', 'x'], 'unknown command "issues ad"; did you mean "issues add"?'],
    [['issues'], 'issues: needs a command: add, list, show, logs, retry, cancel, assign, delete'],
    [['--worker-idd', 'x'], 'unknown option --worker-idd; did you mean --worker-id?'],
    [['issues', 'add', 'x', '--prio', '3'], 'unknown option --prio; did you mean --priority?'],
    [['issues', 'list', '--jsno'], 'unknown option --jsno; did you mean --json?'],
    [['run', '--no-migrat'], 'unknown option --migrat; did you mean --migrate?'],
    [['issues', 'list', '--limit'], '--limit: got nothing; needs a value'],
    [['issues', 'add', 'Fix', 'it'], 'issues add: unexpected "it"; put quotes around a text of several words'],
    [['issues', 'cancel'], 'issues cancel: needs <id...>; see cape-worker issues cancel --help'],
    [['run', 'now'], 'run: unexpected "now"'],
    [['\u001b[31mred'], 'unknown command "\\u001b[31mred"; see cape-worker --help'],
    [['issues', 'xyzzy'], 'unknown command "issues xyzzy"; see cape-worker issues --help'],
    [['issues', 'list', '--nonsense'], 'unknown option --nonsense; see cape-worker issues list --help'],
    [['issues', 'add', '-x'], 'unknown option -x; a text that begins with a dash goes after --'],
    [
      ['issues', 'add', '--login breaks'],
      'unknown option --login breaks; a text that begins with a dash goes after --',
    ],
    [['issues', 'list', '--concurrency', '3'], 'issues list: --concurrency is an option of run'],
    [['--worker-id', 'a', '--worker-id', 'b'], '--worker-id was given twice; it takes one value'],
    [
      ['issues', 'list', '--status', 'failed', '--limit', '1', '--limit=2'],
      '--limit was given twice; it takes one value',
    ],
  ])('%j: %s', async (args, message) => {
    expect(await refusal(...args)).toBe(message);
  });

  test.each([['--database-url'], ['--db'], ['--url']])('with %s is told where the URL goes', async (option) => {
    const message =
      'DATABASE_URL goes into the environment or .env; there is no option, since arguments are visible to every user';
    expect(await refusal('--worker-id', 'a', option, 'postgres://me@db/x')).toBe(
      `unknown option ${option}; ${message}`,
    );
    expect(await refusal('issues', 'list', option, 'postgres://me@db/x')).toBe(`unknown option ${option}; ${message}`);
  });

  test('is one line on standard error and exit code 64, and nothing on standard output', async () => {
    const { code, stdout, stderr } = await cli(['issues', 'add', 'x', '--priorty', '3']);
    expect({ code, stdout, stderr }).toEqual({
      code: 64,
      stdout: '',
      stderr: 'cape-worker: unknown option --priorty; did you mean --priority?\n',
    });
  });
});

describe('words and options arrive as they were written', () => {
  const words = async (...args: string[]) => {
    const parsed = await parse(args);
    if (parsed.kind !== 'command') throw new Error(parsed.text);
    return { words: parsed.words, flags: parsed.flags };
  };

  test.each([['007'], ['1e3'], ['-'], ['true'], ['a=b'], ['ünï "x" \n'], ['']])('the text %j', async (text) => {
    expect((await words('issues', 'add', text)).words).toEqual([text]);
  });

  test('a text that begins with a dash, behind "--"', async () => {
    expect((await words('issues', 'add', '--priority', '-5', '--', '--help')).words).toEqual(['--help']);
    expect((await words('issues', 'add', '--', '-x y')).words).toEqual(['-x y']);
  });

  test('a negative value, several ids, a repeated option that takes several, a negated flag', async () => {
    expect((await words('issues', 'add', 'x', '--priority', '-5')).flags).toMatchObject({ priority: '-5' });
    expect((await words('issues', 'cancel', '1', '2', '3')).words).toEqual(['1', '2', '3']);
    const statuses = await words('issues', 'list', '--status', 'failed', '--status=pending', '--json', '--json');
    expect(statuses).toMatchObject({ words: [], flags: { status: ['failed', 'pending'], json: true } });
    expect((await words('run', '--no-migrate')).flags).toMatchObject({ migrate: false });
  });

  test('a value that is the name of a command', async () => {
    expect((await words('--worker-id', 'status')).flags).toMatchObject({ 'worker-id': 'status' });
  });
});

describe('help', () => {
  test.each(COMMANDS.map(({ name }) => name))('of "%s" has its options and an example', async (name) => {
    const parsed = await parse([...name.split(' '), '--help']);
    expect(parsed.kind).toBe('text');
    const text = (parsed as { text: string }).text;
    expect(text).toMatch(/Examples:\n +(.*cape-worker)/);
    expect(text).toContain(`cape-worker ${name}`);
  });

  test('of the program lists every command and every option of a worker', async () => {
    const { code, stdout, stderr } = await cli(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const { name } of COMMANDS) expect(stdout).toContain(`cape-worker ${name.split(' ')[0]}`);
    for (const option of ['--worker-id', '--lease', '--max-attempts', '--log-dir']) expect(stdout).toContain(option);
    // A secret is no option: arguments can be read by every user of the machine.
    expect(stdout).not.toContain('--database-url');
    expect(stdout).toContain('DATABASE_URL');
  });

  test('--version is the version alone', async () => {
    expect(await cli(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });
});

test('a worker without an id is refused, naming the option and the variable', async () => {
  expect(await cli([])).toMatchObject({
    code: 64,
    stderr: 'cape-worker: --worker-id: got nothing; a worker needs one, by --worker-id or CAPE_WORKER_ID\n',
  });
});
