/** A worker's state in one line, as `systemctl status` shows it. Pure. */
import { firstLine, oneLine } from '../core/text.js';
import type { RunningIssue, WorkerState } from '../worker/state.js';

/** A terminal's two or three lines. */
export const LONGEST_STATUS = 240;
/** Of more running issues than so many the rest is counted. */
const NAMED = 4;

/**
 * One line without control characters, whatever the state quotes.
 * @param now times of the same day are shown without their date
 */
export function statusLine(state: WorkerState, now: Date = new Date()): string {
  const line = [troubleOf(state), workOf(state, now), waitOf(state)].filter((part) => part !== null).join('; ');
  return firstLine(oneLine(line), LONGEST_STATUS);
}

function troubleOf({ stuck }: WorkerState): string | null {
  return stuck === null ? null : `${stuck} stands still, which is a bug`;
}

function waitOf({ away }: WorkerState): string | null {
  // Such a line may stand for days: it needs its date.
  return away && `waiting for the database since ${dayOf(away.since)} ${timeOf(away.since)}: ${away.words}`;
}

function workOf(state: WorkerState, now: Date): string | null {
  const { phase, away, running, completed } = state;
  if (phase === 'starting') return away ? null : 'starting';
  if (phase === 'migrating') return 'bringing the tables up to date';
  if (phase === 'stopped') return 'stopped';
  if (phase === 'working') {
    const what = running.length > 0 ? issues(running, now) : idleWord(state);
    return what && `${what}, ${completed} done since start`;
  }
  if (running.length === 0) return lastWords(state);
  if (phase === 'ending') return `stopping: ending ${issues(running, now)}`;
  return `draining: ${issues(running, now)}, at most until ${when(lastEnd(state), now)}`;
}

function idleWord({ paused, away }: WorkerState): string | null {
  if (paused) return 'paused';
  return away ? null : 'idle';
}

function lastWords({ unwritten }: WorkerState): string {
  return unwritten.length === 0 ? 'stopping' : `stopping: writing back issue ${few(unwritten.map(String))}`;
}

function lastEnd({ running, drainUntil }: WorkerState): Date {
  const limits = Math.max(...running.map(({ until }) => until.getTime()));
  return new Date(drainUntil ? Math.min(limits, drainUntil.getTime()) : limits);
}

function issues(running: readonly RunningIssue[], now: Date): string {
  return few(running.map(({ id, attempt, since }) => `issue ${id} attempt ${attempt} since ${when(since, now)}`));
}

function few(names: readonly string[]): string {
  const rest = names.length - NAMED;
  return rest <= 0 ? names.join(', ') : `${names.slice(0, NAMED).join(', ')} and ${rest} more`;
}

function when(date: Date, now: Date): string {
  return dayOf(date) === dayOf(now) ? timeOf(date) : `${dayOf(date)} ${timeOf(date)}`;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** Local time, as the log has it. */
function timeOf(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

function dayOf(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
