/** All lines, in the order of the report. */
import type { Line } from './line.js';
import { latency } from './lines/latency.js';

export const LINES: readonly Line[] = [latency];
