/** A part of the screen: a heading and rows in columns, of which those are shown that there is room for. */
import { cut, padded } from './top-cells.js';
import type { Paint } from './top-paint.js';

export interface Column {
  readonly title: string;
  /** Columns of the terminal that it takes. Those without share what is left. */
  readonly width?: number;
  /** Its share of what is left, default 1. */
  readonly share?: number;
  /** Left out on terminals narrower than this. */
  readonly from?: number;
}

export interface Row {
  /** Who is meant where this row is the chosen one. */
  readonly key: string;
  /** Safe text, a cell for each column. */
  readonly cells: readonly string[];
  /** Colours one of the cells, once that is padded: colours must not count as width. */
  readonly paint?: { readonly cell: number; readonly by: (text: string) => string };
}

export interface Section {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** Said where there is none. */
  readonly empty: string;
}

export interface Place {
  /** How many rows there is room for below the heading. */
  readonly rows: number;
  readonly width: number;
  /** The key of the chosen row. */
  readonly chosen: string | null;
  readonly paint: Paint;
}

const GAP = '  ';
/** Before the chosen row: colours may be off. */
const MARK = '> ';

/** The heading, and below it as many rows as fit, the chosen one among them. */
export function linesOf({ columns, rows: all, empty }: Section, { rows, width, chosen, paint }: Place): string[] {
  const widths = widthsOf(columns, width - MARK.length);
  const line = (cells: readonly string[], painted?: Row['paint']) =>
    cells
      .flatMap((cell, i) => {
        const own = widths[i] ?? 0;
        if (own <= 0) return [];
        return [i === painted?.cell ? painted.by(padded(cell, own)) : padded(cell, own)];
      })
      .join(GAP);
  const from = windowOf(all, rows, chosen);
  return [
    paint.bold(cut(`  ${line(columns.map(({ title }) => title))}`.trimEnd(), width)),
    ...(all.length === 0 && rows > 0 ? [paint.dim(cut(`  ${empty}`, width))] : []),
    ...all.slice(from, from + rows).map((row) => {
      if (row.key === chosen) return paint.inverse(padded(MARK + line(row.cells), width));
      return `  ${line(row.cells, row.paint)}`.trimEnd();
    }),
  ];
}

/** 0 for a column that is left out. */
function widthsOf(columns: readonly Column[], width: number): number[] {
  const isShown = ({ from = 0 }: Column) => width + MARK.length >= from;
  const shown = columns.filter(isShown);
  const taken = shown.reduce((sum, column) => sum + (column.width ?? 0), GAP.length * (shown.length - 1));
  const shares = shown.reduce((sum, { width: own, share = 1 }) => sum + (own === undefined ? share : 0), 0);
  const rest = Math.max(0, width - taken);
  return columns.map((column) => {
    if (!isShown(column)) return 0;
    return column.width ?? Math.floor((rest * (column.share ?? 1)) / shares);
  });
}

/** Where to begin so that the chosen row is in the middle, or as near to it as the ends allow. */
function windowOf(all: readonly Row[], rows: number, chosen: string | null): number {
  const at = all.findIndex(({ key }) => key === chosen);
  return Math.max(0, Math.min(at - Math.floor(rows / 2), all.length - rows));
}
