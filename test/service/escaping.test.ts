/** Any path that a file system takes, in a unit and in a plist. */
import fc from 'fast-check';
import { parse } from 'plist';
import { describe, expect, test } from 'vitest';
import { CapeError } from '../../src/core/errors.js';
import { parsePlist, printedFiles, renderPlist } from '../../src/service/plist.js';
import type { ServiceSpec } from '../../src/service/spec.js';
import { parseUnit, renderUnit } from '../../src/service/unit.js';
import { SYSTEM, USER } from './specs.js';
import { directives, execStart, specifiers, words } from './systemd-words.js';

/** What one of the two languages takes for more than text. */
const MEANINGFUL = [
  ...[
    '%',
    '%n',
    '%%',
    '$',
    '$$',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: systemd's, not ours
    '${PATH}',
    '$HOME',
    '"',
    "'",
    '\\',
    '\\n',
    '\\x41',
    '\\\\',
    ' ',
    '  ',
    '\t',
    ';',
    ' ; ',
  ],
  ...[
    '#',
    '@',
    '-',
    '--',
    ':',
    '+',
    '!',
    '|',
    '&',
    '&amp;',
    '<',
    '<!--',
    '-->',
    ']]>',
    '@NODE@',
    '[X-Cape-Worker]',
    '=',
  ],
  ...['é', '日本', '\u00a0', '~', '*', 'a', 'B'],
];
const REFUSED = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]|\p{Surrogate}/u;

const text = fc
  .array(fc.oneof(fc.constantFrom(...MEANINGFUL), fc.string({ unit: 'grapheme', maxLength: 4 })), { maxLength: 8 })
  .map((parts) => parts.join(''))
  .filter((value) => !REFUSED.test(value));
const name = text.map((value) => value.replaceAll('/', '') || 'x').filter((value) => value !== '.' && value !== '..');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join('/')}`);
const account = fc.record({
  name: name.filter((value) => !/^\s|[\s\\]$/.test(value)),
  uid: fc.nat(),
  gid: fc.nat(),
  group: name,
  home: path,
});
const spec: fc.Arbitrary<ServiceSpec> = fc.record({
  workerId: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,20}$/),
  scope: fc.constantFrom('system', 'user'),
  account,
  node: path.map((value) => value.replace(/["'\\\t]/g, '_')),
  program: path,
  envFile: path,
  workingDir: path,
  logDir: path,
  path: text,
  harden: fc.boolean(),
  withDatabase: fc.boolean(),
  graceMs: fc.nat(600_000),
});
const features = fc.record({ version: fc.integer({ min: 239, max: 260 }), notify: fc.boolean() });

/** The value of a directive that is there once. */
function only(unit: string, wanted: string): string {
  const values = directives(unit).filter(([directive]) => directive === wanted);
  expect(values).toHaveLength(1);
  return values[0]![1];
}

describe('a unit', () => {
  test('tells whatever it was rendered from', () => {
    const check = fc.property(spec, features, (any, its) => {
      expect(parseUnit(renderUnit(any, its))).toEqual(any);
    });
    fc.assert(check);
  });

  test('says to systemd what the spec says', () => {
    fc.assert(
      fc.property(spec, features, (any, its) => {
        const unit = renderUnit(any, its);
        const { file, argv } = execStart(only(unit, 'ExecStart'));
        expect(file).toBe(any.node);
        expect(argv).toEqual([
          ...[any.node, '--', any.program, 'run', '--worker-id', any.workerId, '--env-file', any.envFile],
        ]);
        const folder = specifiers(only(unit, 'WorkingDirectory'));
        expect(folder.length > 1 ? folder.replace(/\/$/, '') : folder).toBe(any.workingDir);
        expect(words(only(unit, 'Environment'))).toEqual([`PATH=${any.path}`]);
        if (any.scope === 'system') expect(specifiers(only(unit, 'User'))).toBe(any.account.name);
      }),
    );
  });

  test('has the directives of its template and no others, each on its line', () => {
    fc.assert(
      fc.property(spec, features, (any, its) => {
        const { workerId, scope, harden, withDatabase, graceMs } = any;
        const plain = { ...SYSTEM, workerId, scope, harden, withDatabase, graceMs };
        const names = (of: ServiceSpec) => directives(renderUnit(of, its)).map(([directive]) => directive);
        expect(names(any).filter((directive) => directive !== 'ReadWritePaths')).toEqual(names(plain));
      }),
    );
  });
});

describe('a plist', () => {
  test('tells whatever it was rendered from', () => {
    const check = fc.property(spec, (any) => {
      expect(parsePlist(renderPlist(any))).toEqual(any);
    });
    fc.assert(check);
  });

  test('has exactly the strings of the spec', () => {
    fc.assert(
      fc.property(spec, (any) => {
        const found = parse(renderPlist(any));
        const { stdout, stderr } = printedFiles(any);
        expect(found).toEqual({
          Label: `com.cape.worker.${any.workerId}`,
          ProgramArguments: [
            ...[any.node, '--', any.program, 'run', '--worker-id', any.workerId, '--env-file', any.envFile],
          ],
          WorkingDirectory: any.workingDir,
          ...(any.scope === 'system' && { UserName: any.account.name }),
          EnvironmentVariables: { HOME: any.account.home, PATH: any.path },
          RunAtLoad: true,
          KeepAlive: { SuccessfulExit: false },
          ThrottleInterval: 10,
          ExitTimeOut: expect.any(Number),
          ProcessType: 'Standard',
          Umask: 0o077,
          StandardOutPath: stdout,
          StandardErrorPath: stderr,
        });
      }),
    );
  });

  test('kills a worker that stops only after the longest usual issue, the grace and its writing', () => {
    const limit = (graceMs: number) =>
      (parse(renderPlist({ ...USER, graceMs })) as { ExitTimeOut: number }).ExitTimeOut;
    expect(limit(10_000)).toBe(6 * 3600 + 90);
    expect(limit(600_000)).toBe(6 * 3600 + 630);
  });
});

describe('refused in one line', () => {
  const refusal = (changes: Partial<ServiceSpec>, render: (spec: ServiceSpec) => string) => {
    try {
      return render({ ...SYSTEM, ...changes });
    } catch (error) {
      if (error instanceof CapeError) return `${error.kind}: ${error.message}`;
      throw error;
    }
  };
  const unit = (of: ServiceSpec) => renderUnit(of, { version: 252, notify: true });

  test('a line break, wherever it stands', () => {
    const breaking: Partial<ServiceSpec>[] = [
      ...(['node', 'program', 'envFile', 'workingDir', 'logDir'] as const).map((key) => ({ [key]: '/a\nUser=root' })),
      { path: '/bin\n' },
      { account: { ...SYSTEM.account, name: 'a\nb' } },
    ];
    for (const changes of breaking) {
      for (const render of [unit, renderPlist]) {
        const said = refusal(changes, render);
        // The unit of systemd does not name the log folder unless it has to: there it is remembered, as JSON.
        if (render === unit && 'logDir' in changes) expect(parseUnit(said)?.logDir).toBe('/a\nUser=root');
        else expect(said).toMatch(/^config: [^\n]*(no line breaks and no control characters|absolute path)/);
      }
    }
  });

  test('what no escaping helps with', () => {
    expect(refusal({ workingDir: 'logs' }, unit)).toBe(
      'config: the working folder is "logs": must be an absolute path without "." and ".."',
    );
    expect(refusal({ workingDir: '/a/../b' }, unit)).toMatch(/without "\." and "\.\."$/);
    expect(refusal({ program: '/a\u001b[2J' }, unit)).toBe(
      'config: the program is "/a\\u001b[2J": a service file takes no line breaks and no control characters',
    );
    expect(refusal({ node: '/a "b"/node' }, unit)).toBe(
      'config: the Node binary is "/a "b"/node": systemd runs no program with quotes, "\\" or tabs in its path',
    );
    expect(refusal({ account: { ...SYSTEM.account, name: 'dom\\' } }, unit)).toMatch(/must not begin with a blank/);
  });
});
