/** What a run leaves: everything as JSON, from which the pages are made. */
import type { Measured } from './line.js';
import type { Facts } from './machine.js';

export interface LineResult {
  readonly name: string;
  readonly title: string;
  /** UTC, to the minute. */
  readonly when: string;
  readonly rounds: number;
  /** Load average when its turn began. */
  readonly load: string;
  readonly seconds: number;
  readonly measured: Measured | null;
  /** Why there is nothing measured. */
  readonly failure: string | null;
}

export interface Results {
  readonly machine: Facts;
  readonly scale: string;
  readonly lines: readonly LineResult[];
}

/** A run of some lines replaces those of the run before it; the others stay, with the time at which they were measured. */
export function merged(before: Results | null, now: Results, order: readonly string[]): Results {
  const old = before?.lines.filter(({ name }) => !now.lines.some((line) => line.name === name)) ?? [];
  const lines = [...old, ...now.lines].filter(({ name }) => order.includes(name));
  return { ...now, lines: lines.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name)) };
}
