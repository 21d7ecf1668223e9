/** graphile-worker with its default settings and a silent logger, waiting for jobs. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Logger, run } from 'graphile-worker-17';
import { clockTeller } from './clock.mjs';

const { url, fifo, command } = JSON.parse(process.argv[2]);
const tell = fifo ? clockTeller(fifo) : () => {};
const runFile = promisify(execFile);
const runner = await run({
  connectionString: url,
  logger: new Logger(() => () => {}),
  noHandleSignals: true,
  taskList: { sample: command ? async () => void (await runFile(command[0], command.slice(1))) : async () => tell() },
});
runner.events.once('pool:listen:success', () => console.log('ready'));
process.once('SIGTERM', () => void runner.stop());
await runner.promise;
