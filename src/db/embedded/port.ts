/** The TCP port of the server: chosen once and kept, so that noted URLs stay valid from start to start. */

import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { CapeError } from '../../core/errors.js';
import type { Layout } from './data-dir.js';
import { whenMissing } from './files.js';

/**
 * The port of the last start; another free one where that is taken, or for the first start.
 * @throws CapeError database where this machine has no free port.
 */
export async function choosePort(layout: Layout): Promise<number> {
  const kept = Number(await readFile(layout.port, 'utf8').catch(whenMissing));
  const port = (await freePort(kept)) ?? (await freePort(0));
  if (port === null) throw new CapeError('database', 'no free TCP port on 127.0.0.1 for the embedded Postgres');
  if (port !== kept) await writeFile(layout.port, `${port}\n`);
  return port;
}

/** `port` if it is free on 127.0.0.1, any free one for 0; null if it is taken. */
async function freePort(port: number): Promise<number | null> {
  const probe = createServer().listen(port, '127.0.0.1');
  try {
    await once(probe, 'listening');
  } catch {
    return null; // EADDRINUSE
  }
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address ? address.port : null;
}
