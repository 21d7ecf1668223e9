/** Issues that one statement claims share its token. Their runs must share nothing. */
import { expect, test } from 'vitest';
import { createClient } from '../../src/client.js';
import { createTestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { startWorker } from '../support/worker.js';

const { url: databaseUrl } = await createTestDatabase();

test('the end of one leaves those alone that were claimed with it', async () => {
  const client = createClient({ databaseUrl });
  const script = `
    case "$1" in
      fails) exit 1;;
      succeeds) exit 0;;
      slow) sleep 1.5; echo survived;;
    esac`;
  const ids = await client.addMany(
    ['slow', 'fails', 'succeeds', 'slow'].map((description) => ({ description, maxAttempts: 1 })),
  );
  // Added before the worker starts: its first claim takes all four.
  startWorker({ databaseUrl, concurrency: 4, command: `sh -c '${script}' sh {description}` });
  const ended = await until(async () => {
    const issues = await Promise.all(ids.map((id) => client.get(id)));
    return issues.every((issue) => issue.completed_at !== null) && issues;
  });
  const starts = new Set(ended.map(({ started_at }) => started_at?.getTime()));
  expect(starts.size).toBe(1);
  expect(ended.map(({ status, last_error }) => [status, last_error])).toEqual([
    ['completed', null],
    ['failed', 'exit code 1'],
    ['completed', null],
    ['completed', null],
  ]);
  await client.close();
});
