/**
 * Stands in for launchd and `launchctl` where there is no Mac. It starts and stops the real program of a plist as launchd
 * does (RunAtLoad, KeepAlive, ExitTimeOut, output appended to files, an environment of its own, only the job's process
 * group killed) and answers in launchctl's words and numbers, as far as they are known from its manual, its help and from
 * what people saw. launchd lives in the test's own process; `launchctl` is a script on PATH that asks it through a FIFO:
 * as a Node program of its own it took 250 ms a call on a busy machine.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFile,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { constants as system, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'plist';
import type { Host } from '../../src/service/host.js';
import { FakeJob, type JobPlist } from './fake-job.js';

interface Answer {
  readonly code: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

const QUESTIONS = /^(print|print-disabled|list)\b/;

export class FakeLaunchd {
  /** Everything is below it. */
  readonly dir = realpathSync(mkdtempSync(join(tmpdir(), 'cape launchd ')));
  /** A Mac whose `launchctl` is the fake one; `root` and `home` are folders of its own. */
  readonly host: Host;
  /** Everything that was asked of launchctl. */
  readonly calls: string[] = [];
  /** Verbs that are answered so, whatever is asked. */
  readonly denied = new Map<string, Answer>();
  /** False: nobody is logged in at the screen. */
  loggedIn = true;
  /** Milliseconds: between two starts, until a label is free again, until bootout no longer waits, until the kill. */
  times: { throttleMs: number; labelMs: number; bootoutMs: number; exitTimeOutMs?: number } = {
    throttleMs: 300,
    labelMs: 0,
    bootoutMs: 300,
  };
  readonly #jobs = new Map<string, FakeJob>();
  readonly #freeAt = new Map<string, number>();
  readonly #disabled = new Map<string, boolean>();
  readonly #requests: Socket;

  constructor(uid = 501) {
    const [state, bin, home] = ['state', 'bin', 'home of me'].map((name) => join(this.dir, name)) as [
      string,
      string,
      string,
    ];
    for (const folder of [state, bin, home, join(this.dir, 'root')]) mkdirSync(folder);
    const fifo = join(state, 'requests');
    execFileSync('mkfifo', [fifo]);
    writeFileSync(join(bin, 'launchctl'), CLIENT.replace('STATE', `'${state}'`));
    // The home of an account is asked of it.
    writeFileSync(join(bin, 'dscl'), `#!/bin/sh\necho 'NFSHomeDirectory: ${home}'\necho 'UserShell: /bin/sh'\n`);
    for (const name of ['launchctl', 'dscl']) chmodSync(join(bin, name), 0o755);
    this.host = {
      platform: 'darwin',
      environment: { PATH: `${bin}:${process.env.PATH}`, HOME: home },
      uid,
      home,
      root: join(this.dir, 'root'),
    };
    this.#requests = new Socket({ fd: openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK) });
    let text = '';
    this.#requests.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = `${text}${chunk}`.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) void this.#serve(line.split('\x1f'));
    });
  }

  /** What it was told to do: `calls` without the questions. */
  get orders(): string[] {
    return this.calls.filter((line) => !QUESTIONS.test(line));
  }

  /** Ends what it started. */
  close(): void {
    this.#requests.destroy();
    for (const job of this.#jobs.values()) job.destroy();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #serve([reply, verb = '', ...args]: string[]): Promise<void> {
    this.calls.push([verb, ...args].join(' '));
    const answer = this.denied.get(verb) ?? (await this.#answer(verb, args));
    writeFileSync(`${reply}.out`, answer.stdout ?? '');
    writeFileSync(`${reply}.err`, answer.stderr ? `${answer.stderr}\n` : '');
    writeFile(reply as string, `${answer.code}\n`, () => {}); // until it is read
  }

  #answer(verb: string, args: string[]): Answer | Promise<Answer> {
    const target = args.find((word) => /^(system|(gui|user)\/\d+)(\/|$)/.test(word)) ?? '';
    const domain = /^(system|\w+\/\d+)/.exec(target)?.[1] ?? '';
    const label = target.slice(domain.length + 1);
    if (verb === 'list') return this.#list();
    if (domain === '') return { code: 64, stderr: 'Unrecognized target specifier.' };
    if (domain.startsWith('gui/') && !this.loggedIn) {
      return verb === 'bootstrap'
        ? { code: 125, stderr: 'Bootstrap failed: 125: Domain does not support specified action' }
        : { code: 112, stderr: `Bad request.\nCould not find domain for user gui: ${domain.slice(4)}` };
    }
    if (verb === 'bootstrap') return this.#bootstrap(domain, args[1] as string);
    if (verb === 'enable' || verb === 'disable') {
      this.#disabled.set(label, verb === 'disable');
      return { code: 0 };
    }
    if (verb === 'print-disabled') return { code: 0, stdout: this.#printDisabled() };
    if (verb === 'print' && label === '') return { code: 0, stdout: `${domain} = {\n\ttype = login\n}\n` };
    const job = this.#jobs.get(target);
    if (!job) return unknown(verb, domain, label);
    if (verb === 'print') return { code: 0, stdout: printOf(target, domain, job) };
    if (verb === 'bootout') return this.#bootout(target, job);
    if (verb === 'kickstart') return kickstart(job, args.includes('-k'));
    if (verb === 'kill')
      return job.pid ? kill(job.pid, args[0] as NodeJS.Signals) : { code: 3, stderr: 'No process to signal.' };
    return { code: 64, stderr: `Unrecognized subcommand: ${verb}` };
  }

  #bootstrap(domain: string, file: string): Answer {
    const failed = (code: number, text: string) => ({ code, stderr: `Bootstrap failed: ${code}: ${text}` });
    const refused = failed(5, 'Input/output error\nTry re-running the command as root for richer errors.');
    if (!existsSync(file)) return refused;
    const plist = parse(readFileSync(file, 'utf8')) as unknown as JobPlist;
    const target = `${domain}/${plist.Label}`;
    if (this.#disabled.get(plist.Label)) return failed(119, 'Service is disabled');
    if (this.#jobs.has(target) || Date.now() < (this.#freeAt.get(target) ?? 0)) return refused;
    const left = () => {
      this.#jobs.delete(target);
      this.#freeAt.set(target, Date.now() + this.times.labelMs);
    };
    this.#jobs.set(target, new FakeJob(file, plist, this.times, left));
    return { code: 0 };
  }

  async #bootout(target: string, job: FakeJob): Promise<Answer> {
    job.leave();
    for (const end = Date.now() + this.times.bootoutMs; Date.now() < end; await sleep(15)) {
      if (!this.#jobs.has(target)) return { code: 0 };
    }
    return { code: 36, stderr: 'Boot-out failed: 36: Operation now in progress' };
  }

  #printDisabled(): string {
    const lines = [...this.#disabled].map(([label, is]) => `\t\t"${label}" => ${is ? 'disabled' : 'enabled'}\n`);
    return `\n\tdisabled services = {\n${lines.join('')}\t}\n\tlogin item associations = {\n\t}\n`;
  }

  /** What people have typed for years: `launchctl list | grep com.cape.worker`. */
  #list(): Answer {
    const status = (job: FakeJob) => (job.signal ? -(system.signals[job.signal] ?? 0) : (job.exit ?? 0));
    const lines = [...this.#jobs.values()].map((job) => `${job.pid ?? '-'}\t${status(job)}\t${job.plist.Label}\n`);
    return { code: 0, stdout: `PID\tStatus\tLabel\n${lines.join('')}` };
  }
}

/** Words are parted by a character that no path has; a request is shorter than what a FIFO takes in one piece. */
const CLIENT = `#!/bin/sh
d=STATE; r="$d/r.$$"; mkfifo "$r" || exit 70
w="$r"; for a do w="$w\x1f$a"; done
printf '%s\\n' "$w" > "$d/requests"
read -r code < "$r"
[ ! -s "$r.out" ] || cat "$r.out"
[ ! -s "$r.err" ] || cat "$r.err" >&2
rm -f "$r" "$r.out" "$r.err"
exit "$code"
`;

function unknown(verb: string, domain: string, label: string): Answer {
  if (verb === 'bootout') return { code: 3, stderr: 'Boot-out failed: 3: No such process' };
  const where = domain === 'system' ? 'domain for system' : `domain for user ${domain.replace('/', ': ')}`;
  return { code: 113, stderr: `Bad request.\nCould not find service "${label}" in ${where}` };
}

function kickstart(job: FakeJob, again: boolean): Answer {
  if (job.pid && !again) return { code: 37, stderr: 'Operation already in progress' };
  job.kill();
  job.start();
  return { code: 0 };
}

function kill(pid: number, signal: NodeJS.Signals): Answer {
  process.kill(pid, signal);
  return { code: 0 };
}

function printOf(target: string, domain: string, job: FakeJob): string {
  const { plist } = job;
  const ended = job.exit === null ? '(never exited)' : job.exit === 78 ? '78: EX_CONFIG' : job.exit;
  const end = job.signal ? `last terminating signal = ${NAMES[job.signal]}` : `last exit code = ${ended}`;
  return `${target} = {
\tactive count = ${job.pid ? 1 : 0}
\tpath = ${job.file}
\ttype = ${domain === 'system' ? 'LaunchDaemon' : 'LaunchAgent'}
\tstate = ${job.state}

\tprogram = ${plist.ProgramArguments[0]}
\targuments = {
${plist.ProgramArguments.map((word) => `\t\t${word}`).join('\n')}
\t}

\tworking directory = ${plist.WorkingDirectory}

\tstdout path = ${plist.StandardOutPath}
\tstderr path = ${plist.StandardErrorPath}
\tdefault environment = {
\t\tPATH => /usr/bin:/bin:/usr/sbin:/sbin
\t}

\tdomain = ${domain}
\tminimum runtime = 10
\texit timeout = ${plist.ExitTimeOut ?? 5}
\truns = ${job.runs}
${job.pid ? `\tpid = ${job.pid}\n\timmediate reason = speculative\n` : ''}\t${end}

\tresource coalition = {
\t\tID = 1114
\t\tstate = active
\t\tactive count = 1
\t\tname = ${plist.Label}
\t}

\tspawn type = daemon (3)
\tproperties = keepalive | runatload
}
`;
}

const NAMES: Readonly<Record<string, string>> = {
  SIGKILL: 'Killed: 9',
  SIGTERM: 'Terminated: 15',
  SIGABRT: 'Abort trap: 6',
};
