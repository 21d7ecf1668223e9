/** `service stop`: after the running issues, or now. */
import { EXIT } from '../core/errors.js';
import type { InstalledService } from '../service/installed.js';
import type { ServiceState } from '../service/manager.js';
import { command } from './command.js';
import { toStderr } from './database.js';
import { print } from './output.js';
import { NOW_OPTION, SCOPE_OPTIONS, type ScopeFlags, servicesOf, thisHost } from './service-options.js';
import { requireRoot } from './service-output.js';
import { sayWaits } from './service-waits.js';
import { waitOrInterrupt } from './waiting.js';

interface StopFlags extends ScopeFlags {
  readonly now?: boolean;
}

export const stop = command<StopFlags>({
  operands: '<worker-id..>',
  count: { min: 1, max: 1000 },
  options: { ...SCOPE_OPTIONS, ...NOW_OPTION },
  examples: [
    ['service stop alleycat-1', 'when its running issues have ended; Ctrl-C ends only the waiting'],
    ['service stop alleycat-1 --now', 'at once: its issues go back to the queue'],
  ],
  async run({ words, flags }) {
    const host = thisHost();
    const services = await servicesOf(words, flags, host);
    for (const { scope } of services) requireRoot(scope, host, ['stop', ...words].join(' '));
    // Asked before: until a stop is asked for, Ctrl-C ends this command and nothing goes on.
    const states = await Promise.all(services.map(({ manager, workerId }) => manager.state(workerId)));
    const waited = await waitOrInterrupt((signal) =>
      Promise.all(
        services.map((service, index) =>
          stopOne(service, states[index] as ServiceState, { now: flags.now === true, signal }),
        ),
      ),
    );
    if (!('interrupted' in waited)) return EXIT.ok;
    toStderr(`cape-worker: no longer waited for; stopping goes on: cape-worker service status ${words.join(' ')}`);
    return waited.interrupted;
  },
});

interface HowToStop {
  readonly now: boolean;
  /** Aborted: it is no longer waited for. */
  readonly signal: AbortSignal;
}

async function stopOne(service: InstalledService, { active, pid }: ServiceState, { now, signal }: HowToStop) {
  const { manager, workerId } = service;
  // Also one that is stopped: launchd may have it loaded, and systemd may be about to start it again.
  const stopping = manager.stop(workerId, { now });
  await (now ? stopping : sayWaits(service, pid, stopping, signal));
  if (!signal.aborted)
    print(`${manager.nameOf(workerId)} ${active === 'stopped' ? 'is stopped already' : 'is stopped'}`);
}
