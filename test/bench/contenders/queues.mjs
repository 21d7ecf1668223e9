/**
 * The queues behind one small set of words, so that what idles and waits is measured for each in the same way:
 * `prepare` makes the tables, `worker` says how a worker that waits is started, `open` gives a client that adds work.
 */
import { spawn } from 'node:child_process';
import { delimiter, dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';

export const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const HERE = fileURLToPath(new URL('.', import.meta.url));

/** A plain client: autocommit, one connection. */
export function plainClient(url) {
  return postgres(url, { max: 1, onnotice: () => {} });
}

const cape = {
  /** With `handler` a program with a function of its own, else the command line. */
  worker(url, { handler, command, folder, pollMs, outputLimit }) {
    const poll = pollMs === undefined ? [] : ['--poll-interval', `${pollMs}ms`];
    if (handler) return program('idle-cape.mjs', { url, fifo: handler.fifo, pollMs });
    const args = ['--worker-id', 'bench', '--command', command, '--log-dir', `${folder}/logs`, ...poll];
    if (outputLimit !== undefined) args.push('--output-limit', outputLimit);
    return { file: MAIN, args, env: environment({ DATABASE_URL: url, HOME: folder }), cwd: folder };
  },
  isReady: (line) => line.includes('is ready') || line === 'ready',
  async prepare(url) {
    const { migrate } = await import('../../../dist/index.js');
    await migrate({ url, schema: 'public' });
  },
  /** Seen by whoever listens on `bench`: the claim of an issue. */
  tellClaims: (sql) => tellOf(sql, 'cape_leases', 'insert', 'true'),
  async deafen(sql) {
    await sql`alter table cape_issues disable trigger cape_a_new_issue`;
  },
  async open(url) {
    const sql = plainClient(url);
    return {
      add: async () => (await sql`insert into cape_issues (description) values ('sample') returning id`)[0].id,
      isDone: async (id) =>
        (await sql`select from cape_issues where id = ${id} and completed_at is not null`).length > 0,
      waits: async () => (await sql`select from cape_workers where waiting_until > now()`).length > 0,
      close: () => sql.end(),
    };
  },
};

const graphile = {
  worker: (url, { handler, command }) => program('idle-graphile.mjs', { url, fifo: handler?.fifo, command }),
  isReady: (line) => line === 'ready',
  async prepare(url) {
    const { runMigrations } = await import('graphile-worker-17');
    await runMigrations({ connectionString: url });
  },
  tellClaims: (sql) => tellOf(sql, 'graphile_worker._private_jobs', 'update', 'new.locked_at is not null'),
  async open(url) {
    const sql = plainClient(url);
    return {
      add: async () => (await sql`select (graphile_worker.add_job('sample')).id`)[0].id,
      isDone: async (id) => (await sql`select from graphile_worker._private_jobs where id = ${id}`).length === 0,
      waits: async () => true,
      close: () => sql.end(),
    };
  },
};

/** Its client is its own: with LISTEN it is `send` that notifies, no trigger. */
function pgBoss(version) {
  const open = async (url, listen) => {
    const module = await import(`pg-boss-${version}`);
    const PgBoss = module.PgBoss ?? module.default;
    const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false, useListenNotify: listen });
    boss.on('error', () => {});
    await boss.start();
    return boss;
  };
  return {
    worker: (url, { handler, command, pollMs }) =>
      program('idle-pg-boss.mjs', { version, url, fifo: handler?.fifo, command, pollMs }),
    isReady: (line) => line === 'ready',
    async prepare(url, listen = false) {
      const boss = await open(url, false);
      await boss.createQueue('sample', listen ? { name: 'sample', notify: true } : undefined);
      await boss.stop({ graceful: false });
    },
    tellClaims: (sql) => tellOf(sql, 'pgboss.job', 'update', `new.state = 'active'`),
    async open(url) {
      const [boss, sql] = [await open(url, false), plainClient(url)];
      return {
        add: () => boss.send('sample', {}),
        isDone: async (id) => (await sql`select from pgboss.job where id = ${id} and state = 'completed'`).length > 0,
        waits: async () => true,
        close: async () => {
          await sql.end();
          await boss.stop({ graceful: false });
        },
      };
    },
  };
}

export const QUEUES = { cape, graphile, 'pg-boss-10': pgBoss('10'), 'pg-boss-12': pgBoss('12') };

/** Starts a worker. `ready` resolves when it waits for work; `stop` when it has ended. */
export function startWorker(queue, url, options) {
  const { file, args, env, cwd } = queue.worker(url, options);
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said = (said + text).slice(-4000);
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const ready = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => queue.isReady(line) && resolve());
    void ended.then(() => reject(new Error(`${file} ended before it was ready: ${said}`)));
  });
  ready.catch(() => {}); // whoever does not wait for it is told by what does not happen
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
  };
  return { pid: child.pid, ready, stop };
}

function program(name, job) {
  return { file: process.execPath, args: [HERE + name, JSON.stringify(job)], env: environment({}) };
}

/** `cape-worker` is run as users run it, by its first line, which looks for `node` on PATH. */
function environment(more) {
  const { PATH, HOME } = process.env;
  return { HOME, PATH: `${dirname(process.execPath)}${delimiter}${PATH}`, ...more };
}

/** By row and with WHEN, so that it reaches the partitions of a table too and costs each queue the same. */
async function tellOf(sql, table, event, when) {
  await sql.unsafe(`
    create function bench_tell() returns trigger language plpgsql as
      $$ begin perform pg_notify('bench', ''); return null; end $$;
    create trigger bench_tell after ${event} on ${table} for each row when (${when}) execute function bench_tell();`);
}
