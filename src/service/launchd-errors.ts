/** What launchctl's error numbers mean for a worker, and what to do: its own words are "5: Input/output error". Pure. */
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { Scope } from './spec.js';
import type { ToolAnswer } from './tool.js';

/** What was asked of launchd, and about which service. */
export interface Asked {
  readonly verb: string;
  readonly scope: Scope;
  /** `gui/501/com.cape.worker.a`. */
  readonly target: string;
  readonly file: string;
}

/** Exit codes of launchctl (xpc's own above 100). */
export const LAUNCHD = {
  notPermitted: 1,
  noProcess: 3,
  inputOutput: 5,
  inProgress: 36,
  already: 37,
  noDomain: 112,
  noService: 113,
  disabled: 119,
  badOwner: 122,
  noSuchSession: 125,
  wrongSession: 134,
} as const;

/** The service is not loaded. */
export function isUnknown({ code }: Pick<ToolAnswer, 'code'>): boolean {
  return code === LAUNCHD.noProcess || code === LAUNCHD.noService || isNoDomain({ code });
}

/** There is no such domain: for `gui/UID`, nobody is logged in at the screen. */
export function isNoDomain({ code }: Pick<ToolAnswer, 'code'>): boolean {
  return code === LAUNCHD.noDomain || code === LAUNCHD.noSuchSession || code === LAUNCHD.wrongSession;
}

/** Loaded already, or still being stopped: the label is not free for some seconds after its process has gone. */
export function isBusy({ code }: Pick<ToolAnswer, 'code'>): boolean {
  return code === LAUNCHD.inputOutput || code === LAUNCHD.inProgress || code === LAUNCHD.already;
}

export function launchdError(asked: Asked, answer: Pick<ToolAnswer, 'code' | 'stderr' | 'problem'>): CapeError {
  const said = saidBy(answer);
  const advice = adviceFor(asked, answer.code);
  return new CapeError('refused', `launchctl ${asked.verb} ${asked.target}: ${said}${advice && `; ${advice}`}`);
}

/** The line with the number; "Try re-running the command as root for richer errors." comes after it. */
function saidBy({ code, stderr, problem }: Pick<ToolAnswer, 'code' | 'stderr' | 'problem'>): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const telling = lines.find((line) => /failed: \d+|could not find|not permitted/i.test(line));
  return oneLine(telling ?? (problem === '' ? `exit code ${code}` : problem)).slice(0, 300);
}

/** Nobody is logged in: an agent has nowhere to live. */
export const NO_SESSION =
  'nobody is logged in at the screen of this Mac (as over ssh), and services of a user live in that session: ' +
  'log in there, or install it for the machine, which needs no login: sudo cape-worker service install ID --system';

function adviceFor({ scope, target, file }: Asked, code: number | null): string {
  const asRoot = scope === 'system' ? 'sudo ' : '';
  switch (code) {
    case LAUNCHD.notPermitted:
      return scope === 'system' ? 'services of the machine need root: use sudo' : 'run it as the user of the service';
    case LAUNCHD.noProcess:
    case LAUNCHD.noService:
      return 'it is not loaded: cape-worker service start loads it';
    case LAUNCHD.inputOutput:
      return (
        `launchd gives no reason; the usual ones: it is loaded already or still stopping (launchctl print ${target}), ` +
        `the file can't be read by launchd (plutil -lint ${file}; it must be ${owner(scope)} with mode 644), root is needed`
      );
    case LAUNCHD.inProgress:
    case LAUNCHD.already:
      return `it is loaded already, or still stopping: see ${asRoot}launchctl print ${target}, and try again in a minute`;
    case LAUNCHD.noDomain:
    case LAUNCHD.noSuchSession:
    case LAUNCHD.wrongSession:
      return scope === 'user' ? NO_SESSION : 'launchd knows no such domain; is it root who asks?';
    case LAUNCHD.disabled:
      return `it is disabled: ${asRoot}launchctl enable ${target}`;
    case LAUNCHD.badOwner:
      return `launchd takes ${file} only if it is ${owner(scope)} and writable by nobody else (mode 644)`;
    default:
      return '';
  }
}

function owner(scope: Scope): string {
  return scope === 'system' ? "root's (root:wheel)" : 'your own';
}
