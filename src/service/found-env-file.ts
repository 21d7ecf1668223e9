/** An env file that was there before: may it be taken for the service's own, and be rewritten? */
import { ignoredLines } from '../config/dotenv.js';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import type { EnvFile } from './env-file.js';
import type { Account } from './spec.js';

/**
 * Root could write any file and give it away: one that somebody named has to be the account's already.
 * @throws CapeError `refused` for somebody else's
 */
export function refuseStrangersFile(path: string, { uid }: EnvFile, account: Pick<Account, 'name' | 'uid'>): void {
  if (uid === null || uid === account.uid) return;
  const todo = `chown it to ${account.name} if it is meant for the worker, or give another --env-file`;
  throw new CapeError(
    'refused',
    `--env-file: ${oneLine(path)} belongs to user ${uid}, and the worker runs as ${account.name} (${account.uid}); ${todo}`,
  );
}

/**
 * What holds other lines may be no env file at all. They may be secrets, so the line is not shown.
 * @throws CapeError `refused` with the number of the line
 */
export function refuseOtherText(path: string, text: string | null): void {
  const [line] = ignoredLines(text ?? '');
  if (line === undefined) return;
  const todo = 'mend or remove that line, or give another --env-file';
  throw new CapeError('refused', `${oneLine(path)}: line ${line} is not NAME=value, so it is not rewritten; ${todo}`);
}
