/** All lines, in the order of the report. */
import type { Line } from './line.js';
import { drain } from './lines/drain.js';
import { footprint } from './lines/footprint.js';
import { latency } from './lines/latency.js';
import { output } from './lines/output.js';

export const LINES: readonly Line[] = [drain, latency, footprint, output];
