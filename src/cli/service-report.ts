/** A report on a service, for people and for programs. */
import { oneLine, printable } from '../core/text.js';
import type { AtWork, RunningIssue } from '../service/at-work.js';
import type { ServiceState } from '../service/manager.js';
import type { Report } from '../service/report.js';
import { durationText, mark, print, printFields, timeText, title } from './output.js';

export function isRunning({ state }: Report): boolean {
  return typeof state !== 'string' && state.active === 'running';
}

export function printReport(report: Report, showDrift: boolean): void {
  const { service, drift, log } = report;
  const { manager, scope } = service;
  print(title(`${service.workerId}: ${manager.nameOf(service.workerId)} (${manager.kind}, ${scope})`));
  printFields(fieldsOf(report));
  for (const warning of warningsOf(report)) print(`${mark(null)} ${warning}`);
  if (showDrift) for (const { sign, text } of drift) print(`${sign} ${oneLine(text)}`);
  if (log.length === 0) return;
  print('');
  for (const line of log) print(printable(line));
}

function fieldsOf({ service, state, database, atWork, version }: Report): [string, string][] {
  const { manager, spec, workerId } = service;
  const known = typeof state === 'string' ? null : state;
  const fields: [string, string][] = [
    ['state', typeof state === 'string' ? `unknown: ${oneLine(state)}` : activity(state)],
  ];
  if (known?.text && known.pid !== null) fields.push(['says', oneLine(known.text)]);
  fields.push(['issues', issuesText(atWork, known?.pid ?? null)]);
  if (database !== null) fields.push(['database', `${database.name}, ${database.state ?? 'unknown'}`]);
  if (known?.lastEnd) fields.push(['last end', oneLine(known.lastEnd)]);
  const running = version.running ?? version.onDisk;
  return [
    ...fields,
    [
      'version',
      running === version.onDisk
        ? oneLine(running ?? 'unknown')
        : `${oneLine(running ?? '')}, on disk ${oneLine(version.onDisk ?? 'unknown')}`,
    ],
    ['runs as', oneLine(spec.account.name)],
    ['file', oneLine(manager.fileOf(workerId))],
    ['env file', oneLine(spec.envFile)],
    ['logs', oneLine(spec.logDir)],
  ];
}

function activity({ active, since, pid, restarts, enabled }: ServiceState): string {
  const now = Date.now();
  const parts = [
    since === null ? active : `${active} since ${timeText(since)} (${durationText(Math.max(0, now - Number(since)))})`,
    ...(pid === null ? [] : [`pid ${pid}`]),
    ...(restarts ? [`restarted ${restarts === 1 ? 'once' : `${restarts} times`}`] : []),
    ...(enabled ? [] : ['not enabled: it does not start by itself']),
  ];
  return parts.join(', ');
}

function issuesText(atWork: AtWork | string, pid: number | null): string {
  if (typeof atWork === 'string') return `unknown: ${atWork}`;
  const { row, issues } = atWork;
  if (issues.length > 0) return issues.map(issueText).join('; ');
  if (row === null) return 'none; the database has not seen this worker';
  if (pid !== null && row.pid !== pid) return `none; the database knows process ${row.pid} on ${oneLine(row.host)}`;
  return row.paused ? 'none; the worker is paused' : 'none';
}

/** `7, attempt 2, since 2026-03-01 14:05:09 (12m 04s)`. */
export function issueText({ id, attempt, since }: RunningIssue): string {
  if (since === null) return `${id}, attempt ${attempt}`;
  return `${id}, attempt ${attempt}, since ${timeText(since)} (${durationText(Math.max(0, Date.now() - Number(since)))})`;
}

/** What a person should know or do. */
function warningsOf({ service, drift, problems, outdated }: Report): string[] {
  const id = service.workerId;
  const changed = drift.filter(({ sign }) => sign !== ' ').length;
  const lines = [...problems];
  if (changed > 0) {
    const what = `an upgrade would change ${changed === 1 ? 'a line' : `${changed} lines`} of the installed file`;
    lines.push(`${what}: see --diff; cape-worker service upgrade ${id} does it`);
  }
  if (outdated) lines.push(`the program or its Node is newer than the process: cape-worker service restart ${id}`);
  return lines;
}

export function jsonOf(report: Report): object {
  const { service, state, database, drift, problems, atWork, version, outdated, log } = report;
  const { workerId, scope, manager, spec } = service;
  const known = typeof state === 'string' ? null : state;
  const seen = typeof atWork === 'string' ? null : atWork;
  return {
    workerId,
    scope,
    manager: manager.kind,
    name: manager.nameOf(workerId),
    state: known?.active ?? 'unknown',
    stateProblem: typeof state === 'string' ? state : null,
    enabled: known?.enabled ?? null,
    pid: known?.pid ?? null,
    since: known?.since ?? null,
    text: known?.text ?? null,
    restarts: known?.restarts ?? null,
    lastEnd: known?.lastEnd ?? null,
    issues: seen?.issues ?? null,
    paused: seen?.row?.paused ?? null,
    database: database && { name: database.name, state: database.state },
    databaseProblem: typeof atWork === 'string' ? atWork : null,
    version: version.running,
    versionOnDisk: version.onDisk,
    outdated,
    account: spec.account.name,
    file: manager.fileOf(workerId),
    envFile: spec.envFile,
    logDir: spec.logDir,
    node: spec.node,
    program: spec.program,
    drift: drift.filter(({ sign }) => sign !== ' ').map(({ sign, text }) => `${sign}${text}`),
    problems,
    log,
  };
}
