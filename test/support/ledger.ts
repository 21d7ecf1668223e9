/** What test/fixtures/ledger.sh has written: the truth about what ran, kept outside of the database. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** For `CAPE_COMMAND`; LEDGER has to be passed on to it. */
export const LEDGER_COMMAND = `'${fileURLToPath(new URL('../fixtures/ledger.sh', import.meta.url))}'`;

export interface LedgerEntry {
  readonly id: number;
  readonly attempt: number;
  readonly worker: string;
  readonly pid: number;
}

/** The starts, or the ends, in the order in which they were written. */
export function ledgerEntries(file: string, word: 'start' | 'end'): LedgerEntry[] {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines
    .map((line) => line.split(' '))
    .filter((parts) => parts[0] === word)
    .map(([, id, attempt, worker = '', pid]) => ({
      id: Number(id),
      attempt: Number(attempt),
      worker,
      pid: Number(pid),
    }));
}
