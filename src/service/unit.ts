/** The unit of a worker: daemons/cape-worker.service filled in, and what it was filled in with read back. */
import { recall, rememberedLines } from './remembered.js';
import type { ServiceSpec, SystemdFeatures } from './spec.js';
import { longStopSeconds, stopSeconds } from './stop-time.js';
import { fill, readTemplate } from './template.js';
import { execArgument, execProgram, unitPath, unitText, unitWord } from './unit-escape.js';

/** What ProtectSystem=full makes read-only. */
const READ_ONLY = /^\/(usr|boot|efi|etc)(\/|$)/;

/**
 * The text of `cape-worker-<id>.service`.
 * @throws CapeError `config` for a path that is not absolute, or a line break or control character in a value
 */
export function renderUnit(spec: ServiceSpec, features: SystemdFeatures): string {
  const written = [spec.workingDir, spec.logDir].filter((path) => READ_ONLY.test(path));
  const words = new Set([
    spec.scope,
    features.notify ? 'notify' : 'exec',
    ...(spec.harden ? ['harden'] : []),
    ...(spec.withDatabase ? ['database'] : []),
    ...(written.length > 0 ? ['inside-system'] : []),
  ]);
  const values = {
    WORKER_ID: spec.workerId,
    USER: unitText('the account', spec.account.name),
    WORKING_DIR: unitPath('the working folder', spec.workingDir),
    PATH: unitWord('PATH', `PATH=${spec.path}`),
    NODE: execProgram('the Node binary', spec.node),
    PROGRAM: execArgument('the program', spec.program),
    ENV_FILE: execArgument('the env file', spec.envFile),
    STOP_SECONDS: String(stopSeconds(spec.graceMs)),
    LONG_STOP_SECONDS: String(longStopSeconds(spec.graceMs)),
    READ_WRITE_PATHS: written.map((path) => unitWord('a folder', path)).join(' '),
    REMEMBERED: rememberedLines(spec),
  };
  return fill(readTemplate('cape-worker.service'), values, (word) => words.has(word) || fits(word, features.version));
}

/** The spec that the text of a unit was rendered from; null where it is none of ours. */
export function parseUnit(text: string): ServiceSpec | null {
  const [, section] = text.split(/^\[X-Cape-Worker\]$/m);
  return section === undefined ? null : recall(section);
}

/** `since-254`, `before-254`. */
function fits(word: string, version: number): boolean {
  const [, side, bound] = /^(since|before)-(\d+)$/.exec(word) ?? [];
  return side !== undefined && (side === 'since') === version >= Number(bound);
}
