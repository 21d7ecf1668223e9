/** All lines, in the order of the report. */
import type { Line } from './line.js';

export const LINES: readonly Line[] = [];
