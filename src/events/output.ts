/** The output of an attempt, as its events have it. */
import type { Queryable } from '../db/connect.js';

export interface OutputPiece {
  readonly seq: number;
  readonly text: string;
  /** Bytes left out before it. */
  readonly skipped: number;
}

const PAGE = 200;

// Found by the issue's own numbers: what belongs to other attempts is passed over without its data.
const OUTPUT = `
  select seq, coalesce(data->>'text', '') as text, coalesce((data->>'skipped')::float8, 0) as skipped
    from cape_events where issue_id = $1 and seq > $2 and attempt = $3 and kind = 'output'
   order by seq limit ${PAGE}`;

/** The pieces in order, read as they are asked for. */
export async function* outputPieces(db: Queryable, id: number, attempt: number): AsyncIterable<OutputPiece> {
  let after = -1;
  for (;;) {
    const pieces = await db.query<OutputPiece>(OUTPUT, [id, after, attempt]);
    yield* pieces;
    if (pieces.length < PAGE) return;
    after = pieces.at(-1)?.seq ?? after;
  }
}
