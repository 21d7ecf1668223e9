/** All lines, in the order of the report. */
import type { Line } from './line.js';
import { commands } from './lines/commands.js';
import { drain } from './lines/drain.js';
import { footprint } from './lines/footprint.js';
import { growth } from './lines/growth.js';
import { insert } from './lines/insert.js';
import { latency } from './lines/latency.js';
import { output } from './lines/output.js';
import { workers } from './lines/workers.js';

export const LINES: readonly Line[] = [drain, commands, latency, growth, insert, workers, footprint, output];
