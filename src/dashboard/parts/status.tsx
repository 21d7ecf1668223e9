/** A status, told by word, shape and colour. */
import type { WorkerState } from '../api/types.js';

export function Badge({ status }: { status: string }) {
  return <span class={`badge is-${tone(status)}`}>{WORDS[status] ?? status.replaceAll('_', ' ')}</span>;
}

const WORDS: Readonly<Record<string, string>> = { started: 'running', timed_out: 'timed out' };

/** Statuses of issues, states of workers and outcomes of attempts share five colours. */
export function tone(status: string): string {
  if (status === 'started' || status === 'running' || status === 'retry') return 'running';
  if (status === 'completed' || status === 'succeeded') return 'good';
  if (['failed', 'timed_out', 'crashed', 'invalid', 'unrunnable', 'lost', 'stale'].includes(status)) return 'bad';
  if (['pending', 'snoozed', 'paused', 'queued'].includes(status)) return 'waiting';
  return 'quiet';
}

export const STATE_HINT: Readonly<Record<WorkerState, string>> = {
  running: 'It is there and takes issues.',
  paused: 'It is there, and takes no new issues until it is resumed.',
  stopped: 'It has left in good order.',
  stale: 'It has given no sign of life for 45 s. Another worker takes over what it was running.',
};
