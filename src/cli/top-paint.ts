/** The colours of `top`, given to what draws: units draw without. */
import pc from 'picocolors';
import type { Status } from '../core/issue.js';
import type { WorkerState } from './workers.js';

export type Paint = ReturnType<typeof pc.createColors>;

/** Colours on a terminal only, and not where NO_COLOR is set. */
export function paintFor(out: { readonly isTTY?: boolean }): Paint {
  return pc.createColors(out.isTTY === true && pc.isColorSupported);
}

const STATUS: Readonly<Record<Status, 'yellow' | 'blue' | 'green' | 'red' | 'dim'>> = {
  pending: 'yellow',
  started: 'blue',
  completed: 'green',
  failed: 'red',
  cancelled: 'dim',
};

const WORKER: Readonly<Record<WorkerState, 'green' | 'yellow' | 'red' | 'dim'>> = {
  running: 'green',
  paused: 'yellow',
  stale: 'red',
  stopped: 'dim',
};

/** A status that somebody wrote by hand stays plain. */
export function statusPaint(paint: Paint, status: string): (text: string) => string {
  const color = STATUS[status as Status];
  return color ? paint[color] : (text) => text;
}

export function workerPaint(paint: Paint, state: WorkerState): (text: string) => string {
  return paint[WORKER[state]];
}
