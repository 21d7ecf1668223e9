/** Commands that print more than any memory holds, while nobody can be told of it. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.js';
import { issuesOf } from '../support/issues.js';
import { startProxy } from '../support/proxy.js';
import { until } from '../support/until.js';
import { tempFolder } from '../support/worker.js';
import { startWorkerProcess } from '../support/worker-process.js';

const { url, sql } = await createTestDatabase();
const { add, completed, attempts } = issuesOf(sql);

const MiB = 1024 * 1024;
const LIMIT = 4 * MiB;
const FLOOD = 100_000_000;

/** A number of kB in /proc/PID/status, as MiB. */
function memory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const kB = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kB) / 1024;
}

function keeperOf(worker: number): number {
  const parent = (pid: string) => /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  const isKeeper = (pid: string) => {
    try {
      return parent(pid) === String(worker) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('keeper.cjs');
    } catch {
      return false; // gone while we looked
    }
  };
  return Number(readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && isKeeper(pid)));
}

const SCRIPT = `
echo "the head of $CAPE_ISSUE_ID"
touch "$1/ready.$CAPE_ISSUE_ID"
while [ ! -e "$1/go" ]; do sleep 0.1; done
yes 0123456789abcde | head -c ${FLOOD}
i=0; while [ $i -lt 500 ]; do printf '🦊äöü🦊äöü🦊äöü'; i=$((i + 1)); done
truncate -s 2G "$CAPE_RESULT_FILE"; printf 'the result' | dd of="$CAPE_RESULT_FILE" conv=notrunc 2> /dev/null
touch "$1/done.$CAPE_ISSUE_ID"
`;

describe.skipIf(process.platform !== 'linux')('100 MB of output with the database away', () => {
  test.each([
    ['of one command', 1],
    ['of each of eight commands at once', 8],
  ])(
    '%s cost little memory and no more disk than allowed, and nothing is lost',
    { timeout: 180_000 },
    async (_, count) => {
      const dir = tempFolder('cape-flood-');
      const proxy = await startProxy(url);
      writeFileSync(join(dir, 'flood.sh'), SCRIPT);
      const worker = await startWorkerProcess({
        id: `flood-${count}`,
        databaseUrl: proxy.url(url),
        cwd: dir,
        args: [
          '--concurrency',
          String(count),
          '--output-limit',
          String(LIMIT),
          '--command',
          `sh ${dir}/flood.sh ${dir} {id}`,
        ],
      });
      const ids = await Promise.all(Array.from({ length: count }, () => add('flood')));
      const marked = (what: string) => readdirSync(dir).filter((name) => name.startsWith(`${what}.`)).length;
      await until(() => marked('ready') === count, { timeoutMs: 30_000 });
      const keeper = keeperOf(worker.pid);
      const before = memory(worker.pid, 'VmRSS') + memory(keeper, 'VmRSS');

      proxy.mode = 'blackhole';
      writeFileSync(join(dir, 'go'), '');
      await until(() => marked('done') === count, { timeoutMs: 150_000 });
      const growth = memory(worker.pid, 'VmHWM') + memory(keeper, 'VmHWM') - before;
      console.log(`${count} x 100 MB of output: worker and keeper grew by ${growth.toFixed(1)} MiB at their peak`);
      expect(growth).toBeLessThan(50);

      proxy.mode = 'pass';
      for (const id of ids) {
        const issue = await completed(id, 60_000);
        expect([issue.attempt, issue.result?.startsWith('the result')]).toEqual([1, true]);
        const folder = join(dir, `logs flood-${count}`, 'issues', String(id));
        const logs = readdirSync(folder).filter((name) => name.startsWith('1.log'));
        expect(logs.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)).toBeLessThanOrEqual(LIMIT);
        expect(readFileSync(join(folder, '1.log'), 'utf8').startsWith(`the head of ${id}\n0123456789abcde\n`)).toBe(
          true,
        );
        const tail = (await attempts(id))[0]?.tail ?? '';
        expect('🦊äöü'.repeat(1500).endsWith(tail)).toBe(true);
        expect(Buffer.byteLength(tail)).toBeGreaterThan(8192 - 4);
      }
      expect(memory(worker.pid, 'VmHWM') + memory(keeper, 'VmHWM') - before).toBeLessThan(50);
      await proxy.close();
    },
  );
});
