/** The time, by the server's clock, once a second: every "12 s ago" on the page moves with it. */
import { signal } from '@preact/signals';
import { clockAhead } from '../api/request.js';

export const now = signal(Date.now());

function tick(): void {
  if (!document.hidden) now.value = Date.now() + clockAhead.peek();
}

setInterval(tick, 1000);
document.addEventListener('visibilitychange', tick);
clockAhead.subscribe(tick);
