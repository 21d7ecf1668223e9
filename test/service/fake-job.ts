/** One job of a fake launchd: started and ended as launchd does it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** What launchd takes from a plist. */
export interface JobPlist {
  readonly Label: string;
  readonly ProgramArguments: readonly string[];
  readonly WorkingDirectory: string;
  readonly UserName?: string;
  readonly EnvironmentVariables?: Readonly<Record<string, string>>;
  readonly RunAtLoad?: boolean;
  readonly KeepAlive?: boolean | { readonly SuccessfulExit?: boolean };
  /** Seconds. */
  readonly ExitTimeOut?: number;
  readonly Umask?: number;
  readonly StandardOutPath: string;
  readonly StandardErrorPath: string;
}

export interface JobTimes {
  /** In place of ThrottleInterval, milliseconds. */
  readonly throttleMs: number;
  /** In place of ExitTimeOut, where given, milliseconds. */
  readonly exitTimeOutMs?: number;
}

export class FakeJob {
  state = 'not running';
  runs = 0;
  exit: number | null = null;
  signal: NodeJS.Signals | null = null;
  #child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | undefined;
  #leaving = false;

  constructor(
    readonly file: string,
    readonly plist: JobPlist,
    private readonly times: JobTimes,
    /** Told when it has been booted out. */
    private readonly left: () => void,
  ) {
    if (plist.RunAtLoad) this.start();
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  start(): void {
    clearTimeout(this.#timer);
    if (this.#child) return;
    const { plist } = this;
    const [out, err] = [openSync(plist.StandardOutPath, 'a'), openSync(plist.StandardErrorPath, 'a')];
    const [file, ...words] = plist.ProgramArguments as [string, ...string[]];
    const umask = (plist.Umask ?? 0o22).toString(8);
    // Its own process group; a shell sets the umask and becomes the program.
    const child = spawn('/bin/sh', ['-c', `umask ${umask}; exec "$@"`, 'launchd', file, ...words], {
      cwd: plist.WorkingDirectory,
      env: {
        PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
        USER: plist.UserName ?? 'somebody',
        XPC_SERVICE_NAME: plist.Label,
        XPC_FLAGS: '0x0',
        ...plist.EnvironmentVariables,
      },
      stdio: ['ignore', out, err],
      detached: true,
    });
    closeSync(out);
    closeSync(err);
    child.once('exit', (code, signal) => this.#ended(child, code, signal));
    this.#child = child;
    this.state = 'running';
    this.runs += 1;
  }

  /** Booted out: it is told, and killed where it takes too long. */
  leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    clearTimeout(this.#timer);
    if (!this.#child) {
      this.left();
      return;
    }
    this.#child.kill('SIGTERM');
    const timeOut = this.times.exitTimeOutMs ?? (this.plist.ExitTimeOut ?? 20) * 1000;
    this.#timer = setTimeout(() => this.kill(), timeOut);
  }

  /** What is left of the group; a process that left the group lives on. */
  kill(): void {
    if (this.#child) killGroup(this.#child);
  }

  /** For the end of a test. */
  destroy(): void {
    this.#leaving = true;
    clearTimeout(this.#timer);
    this.kill();
  }

  #ended(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    killGroup(child);
    clearTimeout(this.#timer);
    this.#child = null;
    Object.assign(this, { exit: code, signal, state: 'not running' });
    if (this.#leaving) {
      this.left();
      return;
    }
    const { KeepAlive: keep } = this.plist;
    const isKept = typeof keep === 'object' ? keep.SuccessfulExit === false && code !== 0 : keep === true;
    if (!isKept) return;
    this.state = 'spawn scheduled';
    this.#timer = setTimeout(() => this.start(), this.times.throttleMs);
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    process.kill(-(pid as number), 'SIGKILL');
  } catch {
    // nothing is left of it
  }
}
