/** All lines, in the order of the report. */

import type { Line } from './line.js';
import { drain } from './lines/drain.js';
import { latency } from './lines/latency.js';

export const LINES: readonly Line[] = [drain, latency];
