/** A stage for workers whose commands end while the database is away: what they could not write, and what became of it. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';
import { createTestDatabase } from './database.js';
import { issuesOf } from './issues.js';
import { startProxy, type TcpProxy } from './proxy.js';
import { until } from './until.js';
import { tempFolder } from './worker.js';
import { startWorkerProcess, type WorkerProcess } from './worker-process.js';

const tree = fileURLToPath(new URL('../fixtures/exec-tree.sh', import.meta.url));
// Waits for a file named as its description, and notes its start in the ledger; "tree" does not want to end.
const COMMAND = `sh -c 'echo "$1 $2" >>ledger; test "$2" != tree || exec sh "${tree}" pids; until test -e "$2"; do sleep 0.05; done; echo done "$2"' sh {id} {description}`;

/** The database of the test file, with a proxy in front of it that can be away. */
export async function verdictStage() {
  const { url, sql } = await createTestDatabase();
  const issues = issuesOf(sql);
  let cwd = '';
  let proxy: TcpProxy;

  beforeEach(async () => {
    await issues.clear();
    cwd = tempFolder('cape-verdicts-');
    proxy = await startProxy(url);
  });
  afterEach(() => proxy.close());

  const stage = {
    sql,
    ...issues,
    start: (id: string, ...args: string[]): Promise<WorkerProcess> =>
      startWorkerProcess({
        ...{ id, cwd, databaseUrl: proxy.url(url) },
        args: ['--grace', '1s', '--command', COMMAND, '--no-migrate', ...args],
      }),
    /** Of a file that the commands write to. */
    lines(file: string): string[] {
      const path = join(cwd, file);
      return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
    },
    /** The outcomes that a worker has on disk. */
    kept(worker: string): string[] {
      const dir = join(cwd, `logs ${worker}`, '.state', worker, 'verdicts');
      return existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith('.json')) : [];
    },
    /** Lets the commands of the description "go" end. */
    go: () => writeFileSync(join(cwd, 'go'), ''),
    away(): void {
      proxy.mode = 'refuse';
      proxy.reset();
    },
    back(): void {
      proxy.mode = 'pass';
    },
    /** An issue whose command has ended while the database was away: known to the worker and its disk only. */
    async endedUnwritten(worker: string): Promise<number> {
      const id = await issues.add('go');
      await until(() => stage.lines('ledger').length === 1);
      stage.away();
      stage.go();
      await until(() => stage.kept(worker).length === 1, { what: 'the outcome on disk' });
      expect((await issues.issue(id)).status).toBe('started');
      return id;
    },
    async kill(worker: WorkerProcess): Promise<void> {
      worker.child.kill('SIGKILL');
      await worker.exited;
    },
    async expectWrittenOnce(id: number, worker: string): Promise<void> {
      expect(await issues.completed(id)).toMatchObject({ attempt: 1, crashes: 0, failures: 0, result: 'done go\n' });
      expect(await issues.attempts(id)).toMatchObject([{ attempt: 1, outcome: 'succeeded', worker_id: worker }]);
      expect(stage.lines('ledger')).toEqual([`${id} go`]);
      await until(() => stage.kept(worker).length === 0);
    },
  };
  return stage;
}
