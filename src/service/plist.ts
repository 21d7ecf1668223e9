/** The plist of a worker: daemons/com.cape.worker.plist filled in, and what it was filled in with read back. */
import { outputFileOf } from '../log/service-output.js';
import { refuseRelative } from './refuse.js';
import { recall, rememberedLines } from './remembered.js';
import type { ServiceSpec } from './spec.js';
import { longStopSeconds } from './stop-time.js';
import { fill, readTemplate } from './template.js';
import { xmlComment, xmlText } from './xml-escape.js';

/** Where launchd writes what a worker prints: the file of its standard output, and that of its standard error. */
export function printedFiles(spec: Pick<ServiceSpec, 'logDir' | 'workerId'>): { stdout: string; stderr: string } {
  const { logDir, workerId } = spec;
  return { stdout: outputFileOf(logDir, workerId, 'stdout'), stderr: outputFileOf(logDir, workerId, 'stderr') };
}

/**
 * The text of `com.cape.worker.<id>.plist`.
 * @throws CapeError `config` for a path that is not absolute, or a line break or control character in a value
 */
export function renderPlist(spec: ServiceSpec): string {
  const path = (what: string, value: string) => xmlText(what, refuseRelative(what, value));
  const { stdout, stderr } = printedFiles(spec);
  const values = {
    WORKER_ID: spec.workerId,
    USER: xmlText('the account', spec.account.name),
    HOME: path('the home', spec.account.home),
    WORKING_DIR: path('the working folder', spec.workingDir),
    PATH: xmlText('PATH', spec.path),
    NODE: path('the Node binary', spec.node),
    PROGRAM: path('the program', spec.program),
    ENV_FILE: path('the env file', spec.envFile),
    LONG_STOP_SECONDS: String(longStopSeconds(spec.graceMs)),
    STDOUT: path('the log folder', stdout),
    STDERR: path('the log folder', stderr),
    REMEMBERED: xmlComment(rememberedLines(spec)),
  };
  return fill(readTemplate('com.cape.worker.plist'), values, (word) => word === spec.scope);
}

/** The spec that the text of a plist was rendered from; null where it is none of ours. */
export function parsePlist(text: string): ServiceSpec | null {
  const [, lines] = text.split('<!-- What "service install" was told, for status and upgrade:\n');
  return lines === undefined ? null : recall(lines);
}
