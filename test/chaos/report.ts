/** What a run was and what came of it: for people a table, for programs the same as data. */
import Table from 'cli-table3';
import pc from 'picocolors';
import { recoveries, repeatedSuccesses } from './recovery.js';
import type { ChaosOptions, ChaosResult } from './run-chaos.js';

export interface Report {
  readonly seed: number;
  readonly minutes: number;
  readonly without: string | null;
  readonly faults: Readonly<Record<string, number>>;
  readonly issues: number;
  readonly ends: Readonly<Record<string, number>>;
  readonly attempts: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly runs: number;
  /** Commands that succeeded and whose success was never written: run again, or cancelled meanwhile. */
  readonly repeatedSuccesses: number;
  readonly retaken: number;
  /** Seconds, as those after it; null where it never came to that. */
  readonly medianFreed: number | null;
  readonly worstFreed: number | null;
  readonly worstTakeover: number | null;
  readonly medianTakeover: number | null;
  readonly worstAfterOutage: number | null;
  readonly drainSeconds: number;
  readonly worstGap: number;
  readonly violations: ChaosResult['violations'];
  readonly folder: string | null;
  readonly repeat: string;
}

export function reportOf(result: ChaosResult, { seed, minutes, without, provoke }: ChaosOptions): Report {
  const { history, violations, folder, worstGap, drainSeconds } = result;
  const { freed, takeovers, afterOutages } = recoveries(history);
  const hits = history.faults.filter(({ hit }) => hit);
  return {
    seed,
    minutes,
    without,
    faults: countBy(hits.map(({ kind }) => kind)),
    issues: history.inserted.length,
    ends: countBy(history.rows.map(({ status }) => status)),
    attempts: history.attempts.length,
    outcomes: countBy(history.attempts.map(({ outcome }) => outcome)),
    runs: history.ledger.filter(({ what }) => what === 'start').length,
    repeatedSuccesses: repeatedSuccesses(history),
    retaken: freed.length,
    medianFreed: median(freed),
    worstFreed: worst(freed),
    worstTakeover: worst(takeovers),
    medianTakeover: median(takeovers),
    worstAfterOutage: worst(afterOutages),
    drainSeconds,
    worstGap,
    violations,
    folder,
    repeat: `npm run chaos -- --minutes ${minutes} --seed ${seed}${without ? ` --without ${without}` : ''}${provoke ? ' --provoke' : ''}`,
  };
}

/** The report as text that fits on a page. */
export function print(report: Report, say: (line: string) => void): void {
  const table = new Table({ style: { head: [], border: [] }, wordWrap: true, colWidths: [26, 84] });
  const lost = report.violations.length;
  table.push(
    ['faults', `${sum(report.faults)}: ${listed(report.faults)}`],
    ['issues', `${report.issues}: ${listed(report.ends)}`],
    ['attempts', `${report.attempts}: ${listed(report.outcomes)}`],
    ['commands that began', `${report.runs}; ${report.repeatedSuccesses} succeeded and could not have it written`],
    [
      'taken from a worker',
      `${report.retaken} runs; free for others after ${seconds(report.medianFreed)} (median), ${seconds(report.worstFreed)} (worst); begun again, the queue included, after ${seconds(report.medianTakeover)} (median), ${seconds(report.worstTakeover)} (worst)`,
    ],
    ['after an outage', `at work again within ${seconds(report.worstAfterOutage)} of the database's return, at worst`],
    ['after the last fault', `empty queue within ${seconds(report.drainSeconds)}`],
    ['violations', lost === 0 ? pc.green('0') : pc.red(String(lost))],
    ['again', report.repeat],
  );
  say(table.toString());
  for (const { rule, issue, text } of report.violations)
    say(`${pc.red(rule)}: ${issue === null ? '' : `issue ${issue}: `}${text}`);
  if (report.folder) say(`ledger, logs and database are kept in ${report.folder}`);
  say('The seed gives the same faults and issues again, though not the same timing within the machine.');
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function seconds(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)} s`;
}

function worst(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.max(...values);
}

function median(values: readonly number[]): number | null {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? null;
}
