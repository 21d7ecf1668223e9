/** Requests that are being answered, so that an end of the server need not cut them. */
import type { ServerResponse } from 'node:http';
import type { App } from './app.js';

/** Before other hooks. @returns waits until all are answered, `ms` at most */
export function inFlight(app: App): (ms: number) => Promise<void> {
  const answers = new Set<ServerResponse>();
  let onNone = () => {};
  app.addHook('onRequest', async (_request, { raw }) => {
    if (raw.destroyed) return;
    answers.add(raw);
    // Not the hook onResponse, of which a request that its client has given up sees none.
    raw.once('close', () => {
      answers.delete(raw);
      if (answers.size === 0) onNone();
    });
  });
  return async (ms) => {
    if (answers.size === 0) return;
    await new Promise<void>((resolve) => {
      const patience = setTimeout(resolve, ms);
      onNone = () => {
        clearTimeout(patience);
        resolve();
      };
    });
  };
}
