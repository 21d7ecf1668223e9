/** Where the lines are measured: a folder, a Postgres and the contenders' processes, all gone at the end. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runContender } from './contender.js';
import type { Stage } from './line.js';
import { node24 } from './peers.js';
import { BenchServer } from './server.js';

const CONTENDERS = join(import.meta.dirname, 'contenders');

export interface OwnStage extends Stage {
  readonly server: BenchServer;
  strike(): Promise<void>;
}

/** @param signal ends the contender that has its turn, whose `run` then rejects */
export async function prepareStage(signal: AbortSignal): Promise<OwnStage> {
  const folder = mkdtempSync(join(tmpdir(), 'cape-bench-'));
  chmodSync(folder, 0o755);
  const strike = async () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  try {
    return furnish(folder, await BenchServer.start(), signal, strike);
  } catch (error) {
    await strike();
    throw error;
  }
}

function furnish(folder: string, server: BenchServer, signal: AbortSignal, strike: () => Promise<void>): OwnStage {
  const newer = node24();
  // Nothing of the caller's environment: a DATABASE_URL or NODE_OPTIONS in it must not reach anybody.
  const surroundings = { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: folder, TZ: 'UTC', LANG: 'C.UTF-8' };
  return {
    folder,
    server,
    node24: newer !== null,
    signal,
    database: () => server.database(),
    capeDatabase: () => server.capeDatabase(),
    checkpoint: () => server.checkpoint(),
    run(program, job, { node, env = {} } = {}) {
      if (node === '24' && newer === null) throw new Error(`no Node 24 for ${process.platform} ${process.arch} here`);
      return runContender({
        node: node === '24' ? newer! : process.execPath,
        file: join(CONTENDERS, program),
        job,
        cwd: folder,
        env: { ...surroundings, ...env },
        signal,
        prepare: () => server.checkpoint(),
        serverCpu: () => server.cpuSeconds(),
      });
    },
    strike: () => server.remove().finally(strike),
  };
}
