/** A service that was asked to start is waited for until it is really up; else the end of its log says why not. */
import type { ServiceManager, ServiceState } from './manager.js';
import { redactByFile } from './redact.js';
import { readServiceSettings } from './service-settings.js';
import type { ServiceSpec } from './spec.js';
import { awaitUp } from './verify.js';
import { readRows } from './worker-row.js';

export interface BroughtUp {
  readonly pid: number | null;
  /** Why it did not come up; null where it did. */
  readonly problem: string | null;
  /** The end of its log, where it did not come up. */
  readonly log: readonly string[];
}

export interface Starting {
  readonly manager: ServiceManager;
  readonly spec: ServiceSpec;
  /** Settles when the manager has taken the wish: launchd not before the old process has gone. */
  readonly asked: Promise<void>;
  /** The process that is to be replaced; null: none. */
  readonly oldPid: number | null;
  readonly onState: (state: ServiceState) => void;
}

const LOG_LINES = 20;

/** @throws CapeError `refused` where the manager refuses, `config` where the env file is missing or wrong */
export async function bringUp({ manager, spec, asked, oldPid, onState }: Starting): Promise<BroughtUp> {
  const { workerId, envFile } = spec;
  const { config } = readServiceSettings(spec);
  const rows = config.databaseUrl === undefined ? null : readRows({ ...config, databaseUrl: config.databaseUrl });
  try {
    if (oldPid === null) await asked;
    // A refusal ends the waiting; a wish that was taken does not.
    const refused = asked.then(() => new Promise<never>(() => {}));
    const up = await Promise.race([awaitUp({ manager, workerId, rows, oldPid, onState }), refused]);
    if (up.up) return { pid: up.state.pid, problem: null, log: [] };
    const lines = await manager.lastLines(workerId, LOG_LINES, { lastStart: true });
    return { pid: up.state.pid, problem: up.why, log: redactByFile(lines, envFile) };
  } finally {
    await rows?.close();
  }
}
