/** The file that the commands themselves write: who began and who came to his own end, whatever the database says. */
import { readFileSync } from 'node:fs';

export interface LedgerLine {
  readonly what: 'start' | 'end';
  readonly issue: number;
  readonly attempt: number;
  /** CAPE_RUN: names this one run. */
  readonly run: string;
  readonly pid: number;
  readonly worker: string;
  /** Seconds since the machine's start. */
  readonly at: number;
  /** At the end: the exit code that it leaves with, or the signal that it sends itself. */
  readonly exit: string;
}

/** @throws where a line is not one of ours: then nothing that follows could be believed */
export function readLedger(path: string): LedgerLine[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.slice(0, -1).map(parseLine);
}

function parseLine(line: string): LedgerLine {
  const [what, issue, attempt, run, pid, worker, at, , exit] = line.split(' ');
  if ((what !== 'start' && what !== 'end') || !run || !worker || exit === undefined || Number.isNaN(Number(at)))
    throw new Error(`a line of the ledger makes no sense: ${JSON.stringify(line)}`);
  return { what, issue: Number(issue), attempt: Number(attempt), run, pid: Number(pid), worker, at: Number(at), exit };
}
