/** The program in a terminal: a pseudo-terminal made by `script`, and xterm.js, which knows what would be seen on it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import xterm from '@xterm/headless';
import { quote } from 'shlex';
import { afterEach } from 'vitest';
import { until } from './until.js';

/** Where there is no `script` of util-linux, as on macOS, tests that need a terminal are skipped. */
export const hasTerminal = (() => {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    console.error('skipped: tests in a terminal need the "script" of util-linux');
    return false;
  }
})();

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

const open: PtyTerminal[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

/** Starts Node with these arguments. What is left of it is ended after the test. */
export function startInTerminal(args: readonly string[], options: TerminalOptions): PtyTerminal {
  const terminal = new PtyTerminal(args, options);
  open.push(terminal);
  return terminal;
}

export class PtyTerminal {
  /** Everything that was written, escape sequences included. */
  raw = '';
  /** Resolves with the program's exit code. */
  readonly ended: Promise<number | null>;
  readonly #script: ChildProcess;
  readonly #screen: xterm.Terminal;
  readonly #folder = mkdtempSync(join(tmpdir(), 'cape-terminal-'));

  constructor(args: readonly string[], { columns, rows, env, cwd }: TerminalOptions) {
    this.#screen = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
    const node = [process.execPath, ...args].map(quote).join(' ');
    const told = quote(join(this.#folder, 'told'));
    // The shell prints before and after, so that it is seen what the program leaves of the screen.
    const line = `stty cols ${columns} rows ${rows}; echo before; ${node} & echo "$! $(tty)" > ${told}; fg >/dev/null; code=$?; echo after; exit $code`;
    this.#script = spawn('script', ['-qfec', `bash -mc ${quote(line)}`, '/dev/null'], {
      cwd,
      env: { PATH: process.env.PATH, TERM: 'xterm-256color', LANG: 'C.UTF-8', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#script.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.raw += text;
      this.#screen.write(text);
    });
    this.#script.stdin?.on('error', () => {});
    this.ended = new Promise((resolve) => this.#script.once('close', resolve));
  }

  /** The lines that are seen now, without blanks at their ends. */
  lines(): string[] {
    const { active } = this.#screen.buffer;
    return Array.from(
      { length: this.#screen.rows },
      (_, row) => active.getLine(active.viewportY + row)?.translateToString(true) ?? '',
    );
  }

  text(): string {
    return this.lines().join('\n');
  }

  /** True while the program has another screen than the shell's. */
  get isAlternate(): boolean {
    return this.#screen.buffer.active.type === 'alternate';
  }

  press(keys: string): void {
    this.#script.stdin?.write(keys);
  }

  async shows(what: string | RegExp): Promise<void> {
    const isThere = () => (typeof what === 'string' ? this.text().includes(what) : what.test(this.text()));
    await until(isThere, { what: `${what} on the screen` }).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.text()}`);
    });
  }

  /** As the window system does it. */
  async resize(columns: number, rows: number): Promise<void> {
    const { tty } = await this.#told();
    this.#screen.resize(columns, rows);
    execFileSync('stty', ['-F', tty, 'cols', String(columns), 'rows', String(rows)]);
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.pid(), signal);
  }

  /** Of the program. */
  async pid(): Promise<number> {
    return (await this.#told()).pid;
  }

  /** As when its window is closed. */
  async hangUp(): Promise<void> {
    await this.#told();
    this.#script.kill('SIGKILL');
    await this.ended;
  }

  async close(): Promise<void> {
    if (this.#script.exitCode === null && this.#script.signalCode === null) {
      await this.kill('SIGKILL').catch(() => {});
      this.#script.kill('SIGKILL');
    }
    await this.ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #told(): Promise<{ pid: number; tty: string }> {
    const text = await until(() => readFileSync(join(this.#folder, 'told'), 'utf8'), {
      what: 'the start of the program',
    });
    const [pid = '', tty = ''] = text.trim().split(' ');
    return { pid: Number(pid), tty };
  }
}
