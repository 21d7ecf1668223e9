/** A worker from start to end: tools, connections, registration, work, and everything given back in the right order. */
import { chmodSync } from 'node:fs';
import { resolve } from 'node:path';
import { renewalInterval } from '../config.js';
import { CapeError, messageOf } from '../core/errors.js';
import { masked } from '../core/text.js';
import { connect, serverVersion } from '../db/connect.js';
import { programVersion } from '../db/migration-files.js';
import { secretsOf } from '../db/url.js';
import { restamp } from '../events/restamp.js';
import { within } from '../execution/clock.js';
import { createExecutor } from '../execution/keepers.js';
import { machineIdentity } from '../execution/machine.js';
import { endOrphans } from '../execution/recover.js';
import { makeFolder } from '../folders.js';
import { databaseId } from '../queue/identity.js';
import { deregister } from '../queue/workers.js';
import { assemble, type Base, type Connections, type Tools, type WorkerOptions } from './assemble.js';
import { Failover } from './failover.js';
import { findCommand } from './find-command.js';
import { checkListenUrl, startListening } from './hearing.js';
import { type Away, Outage } from './outage.js';
import { stateDirOf } from './plan.js';
import { onceReachable, prepareSchema, registerWorker } from './start-up.js';

/** Longest wait for an answer to a renewal. */
const LEASE_DEADLINE_MS = 10_000;
/** Somebody may hold the worker's row locked, or nobody answer. */
const DEREGISTER_MS = 5000;

const done = Promise.resolve();

/** Runs a worker from start to end. */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const { config, databaseUrl: url, workerId, log, stopping, board } = options;
  board.tell();
  const tools = prepareTools(options);
  // Commands of a process that died must not live on for as long as the database is away.
  const trees = tools.executor ? endOrphans(stateDirOf(tools.logDir, workerId), (line) => log.warn(line)) : done;
  const failover = new Failover(log);
  const shared = {
    url,
    schema: config.schema,
    applicationName: `cape-worker ${workerId}`,
    planner: true,
    onMoved: failover.moved,
  };
  // A renewal that hangs on a dead connection must be given up in time for another one within the lease.
  const deadlineMs = Math.min(LEASE_DEADLINE_MS, renewalInterval(config.lease));
  const connections = { queue: connect(shared), beside: connect(shared), leases: connect({ ...shared, deadlineMs }) };
  try {
    const outage = outageOf(options);
    const base = await onceReachable((signal) => settleIn(options, tools, connections, signal), outage, stopping.asked);
    if (base) await work(options, tools, connections, { ...base, trees }, failover);
    // The answer to the registration may have been lost, or waited for no longer.
    else await leaveTable(options, connections);
  } finally {
    await tools.executor?.close();
    await Promise.all(Object.values(connections).map((connection) => connection.close()));
    board.note({ phase: 'stopped', away: null });
    board.tell();
  }
}

function outageOf(options: WorkerOptions): Outage {
  const { log, observers } = options;
  return new Outage(log, awayOn(options), ({ kind }) => observers.tell('databaseFailed', kind));
}

/** Outages are shown in words that name the server: of a URL with a password in them nothing else. */
function awayOn({ config, databaseUrl, board }: WorkerOptions): (away: Away | null) => void {
  const secrets = [databaseUrl, config.listenUrl].flatMap((url) => (url === undefined ? [] : secretsOf(url)));
  return (away) => board.note({ away: away && { ...away, words: masked(away.words, secrets) } });
}

/** Best effort, while the database answers: a heartbeat that nobody renews grows old by itself. */
async function leaveTable({ instance, log }: WorkerOptions, { leases }: Connections): Promise<void> {
  const left = deregister(leases, instance).catch((error) => log.debug(`not deregistered: ${messageOf(error)}`));
  await within(left, DEREGISTER_MS);
}

/** What can be wrong without a database is found before one is waited for. */
function prepareTools({ config, workerId, handler, log, environment }: WorkerOptions): Tools {
  checkListenUrl(config);
  const workingDir = resolve(config.workingDir);
  const logDir = resolve(config.logDir);
  if (handler) return { command: null, executor: null, workingDir, logDir };
  const command = findCommand(config, environment);
  const stateDir = stateDirOf(logDir, workerId);
  try {
    makeFolder(stateDir, 0o700);
    chmodSync(stateDir, 0o700);
  } catch (error) {
    throw new CapeError('config', `--log-dir: got "${config.logDir}"; can't write there: ${messageOf(error)}`);
  }
  return { command, executor: createExecutor({ stateDir, graceMs: config.grace, log }), workingDir, logDir };
}

/** May be done again from its beginning at any time. */
async function settleIn(
  options: WorkerOptions,
  tools: Tools,
  { queue, leases }: Connections,
  signal: AbortSignal,
): Promise<Omit<Base, 'trees'>> {
  const { config, workerId, instance, databaseUrl, log, board } = options;
  board.note({ phase: 'starting' });
  await serverVersion(queue);
  // Opened beside what follows: a login is three round trips and 4,096 hashes on either side. What is wrong with it the
  // registration says. Not sooner: a password that is refused is not to be tried twice.
  void leases.query('select').catch(() => {});
  await prepareSchema(queue, databaseUrl, config, log, signal, () => board.note({ phase: 'migrating' }));
  board.note({ phase: 'starting' });
  const machine = config.machineId ?? machineIdentity();
  const identity = {
    workerId,
    instance,
    machine,
    version: programVersion(),
    logDir: tools.executor ? tools.logDir : null,
  };
  const [previous, database] = await Promise.all([
    registerWorker(leases, identity, config),
    databaseId(queue).then((id) => restamp(queue).then(() => id)),
  ]);
  return { machine, previous, databaseId: database };
}

async function work(
  options: WorkerOptions,
  tools: Tools,
  connections: Connections,
  base: Base,
  failover: Failover,
): Promise<void> {
  const { config, workerId, log, stopping, board } = options;
  const outage = outageOf(options);
  const crew = assemble(options, tools, connections, base, outage);
  failover.onMoved = () => crew.moved();
  board.note({ phase: 'working' });
  log.info(`worker ${workerId} is ready (${config.concurrency} at a time, ${tools.command?.label ?? 'handler'})`);
  const listener = startListening(options, {
    notify: (payload) => crew.notified(payload),
    listening: () => crew.listening(),
  });
  // A connection that died without a word would be noticed at its next proof, a minute later.
  outage.onOver = () => listener.hurry();
  stopping.attach(crew);
  try {
    await crew.recover(stopping.asked);
    await crew.run();
  } finally {
    stopping.detach();
    await listener.close();
    await tools.executor?.close();
    await crew.keepUnsettled(log);
    await leaveTable(options, connections);
  }
  log.info(`worker ${workerId} has stopped`);
}
