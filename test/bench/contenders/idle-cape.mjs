/** A program that works on issues with a function of its own, and waits for them. */
import { IssueWorker } from '../../../dist/index.js';
import { clockTeller } from './clock.mjs';

const { url, fifo, pollMs } = JSON.parse(process.argv[2]);
const tell = fifo ? clockTeller(fifo) : () => {};
const worker = new IssueWorker({
  databaseUrl: url,
  workerId: 'bench',
  ...(pollMs === undefined ? {} : { pollInterval: pollMs / 1000 }),
  handler: async () => tell(),
  onState: ({ phase }) => phase === 'working' && console.log('ready'),
});
process.once('SIGTERM', () => worker.stop());
await worker.run();
