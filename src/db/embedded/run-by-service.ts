/** A server that a service runs: it is started and stopped there and nowhere else, or two would fight over the cluster. */

import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import * as z from 'zod';
import { CapeError } from '../../core/errors.js';
import { type Layout, layoutOf } from './data-dir.js';
import { whenMissing } from './files.js';

const schema = z.object({
  /** Commands for people. */
  start: z.string(),
  stop: z.string(),
});

/** How people start and stop the service. */
export type ServiceCommands = z.infer<typeof schema>;

/** Says that a service runs the server of this data folder from now on; null = no longer. */
export async function markService(dataDir: string, commands: ServiceCommands | null): Promise<void> {
  const { service } = layoutOf(dataDir);
  if (commands === null) await rm(service, { force: true });
  else await writeFile(service, `${JSON.stringify(commands)}\n`);
}

/** Says of data that outlives its service that it was made for it: installed again, it still may remove it. */
export async function markMadeForService(dataDir: string): Promise<void> {
  const { cluster, madeForService } = layoutOf(dataDir);
  if (existsSync(cluster)) await writeFile(madeForService, '');
}

export function isMadeForService(dataDir: string): boolean {
  return existsSync(layoutOf(dataDir).madeForService);
}

/** The service that runs the server; null where none does. */
export async function serviceOf(layout: Layout): Promise<ServiceCommands | null> {
  const text = await readFile(layout.service, 'utf8').catch(whenMissing);
  return text === null ? null : schema.parse(JSON.parse(text));
}

/** @throws CapeError refused where that is for a service to do, with its command */
export async function refuseServices(layout: Layout, what: keyof ServiceCommands): Promise<void> {
  const service = await serviceOf(layout);
  if (service === null) return;
  const state = what === 'start' ? 'is not running, and ' : '';
  throw new CapeError(
    'refused',
    `the embedded Postgres in ${layout.dataDir} ${state}is run by a service: ${service[what]}`,
  );
}
