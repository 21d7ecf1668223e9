/** pg-boss, waiting for jobs: where its version can LISTEN and is not to poll, by that. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { clockTeller } from './clock.mjs';

const { version, url, fifo, command, pollMs } = JSON.parse(process.argv[2]);
const tell = fifo ? clockTeller(fifo) : () => {};
const runFile = promisify(execFile);
const module = await import(`pg-boss-${version}`);
const PgBoss = module.PgBoss ?? module.default;
const listen = version !== '10' && pollMs === undefined;
const boss = new PgBoss({ connectionString: url, useListenNotify: listen });
boss.on('error', (error) => console.error(error));
await boss.start();
await boss.work('sample', pollMs === undefined ? {} : { pollingIntervalSeconds: pollMs / 1000 }, async () => {
  if (command) await runFile(command[0], command.slice(1));
  else tell();
});
console.log('ready');
process.once('SIGTERM', () => void boss.stop({ graceful: true, timeout: 2000 }).then(() => process.exit(0)));
