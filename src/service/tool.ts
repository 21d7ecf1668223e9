/** Running the system's tools (systemctl, launchctl, loginctl): what they said is data, and none is waited for for ever. */
import { isAbsolute } from 'node:path';
import { execa } from 'execa';
import { CapeError } from '../core/errors.js';
import { findTool } from './find-tool.js';

export interface ToolAnswer {
  /** Null where it could not be started, or was ended by a signal or its deadline. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** In one line, where the code is not 0. */
  readonly problem: string;
}

const DEADLINE_MS = 30_000;

export interface ToolOptions {
  /** Default 30 s; 0 = none, for a stop that may take an hour. */
  readonly timeoutMs?: number;
  /** Added to the environment; its PATH, then /usr/bin and /bin, is where the tool is looked for. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** `env` is all of it: for a program of somebody else, who can read what it is given. */
  readonly bare?: boolean;
}

/** Runs a tool and tells what it answered. Never throws. */
export async function runTool(file: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolAnswer> {
  const { timeoutMs = DEADLINE_MS, bare = false } = options;
  const env: Record<string, string | undefined> = { ...options.env, LC_ALL: 'C' };
  // The folder of whoever asks may be closed to the account that a tool runs as.
  const where = { env, extendEnv: !bare, cwd: '/' };
  // A short PATH, as of cron or of a service, need not have the folder of the system's tools.
  const found = env.PATH === undefined || isAbsolute(file) ? file : (findTool(file, env) ?? file);
  const result = await execa(found, args, { reject: false, timeout: timeoutMs, stdin: 'ignore', ...where });
  const { exitCode, stdout, stderr, shortMessage } = result;
  const said = stderr.trim().split('\n').at(-1) || stdout.trim().split('\n').at(-1) || shortMessage;
  return { code: exitCode ?? null, stdout, stderr, problem: exitCode === 0 ? '' : `${said}` };
}

/** The same where anything but success ends the matter. @throws CapeError `refused` in the tool's own words */
export async function mustRun(file: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  const { code, stdout, problem } = await runTool(file, args, options);
  if (code !== 0) throw new CapeError('refused', `${[file, ...args].join(' ')}: ${problem}`);
  return stdout;
}
