/** One line of output: text nodes and classes, never markup. */
import { piecesOf } from '../text/ansi.js';
import { count } from '../text/format.js';
import type { Line } from './line-store.js';

/** A line of a megabyte would be laid out as one: nobody reads it to its end here. */
const LONGEST = 4000;

export interface LineViewProps {
  readonly line: Line;
  readonly number: number;
  readonly words: string;
  readonly current: boolean;
}

export function LineView({ line, number, words, current }: LineViewProps) {
  if (line.note) return <div class="line note">{line.text}</div>;
  const left = line.text.length - LONGEST;
  const pieces = piecesOf(left > 0 ? line.text.slice(0, LONGEST) : line.text, line.style);
  return (
    <div class={`line${current ? ' current' : ''}`}>
      <span class="line-number" aria-hidden="true" data-number={number} />
      <span class="line-text">
        {pieces.map(({ text, className }, index) => (
          <span key={index} class={className}>
            {marked(text, words)}
          </span>
        ))}
        {left > 0 && <span class="muted"> … {count(left)} more characters</span>}
      </span>
    </div>
  );
}

/** The words that are searched for, marked. */
function marked(text: string, words: string) {
  if (words === '') return text;
  const parts: (string | ReturnType<typeof mark>)[] = [];
  const lower = text.toLowerCase();
  const wanted = words.toLowerCase();
  // Some letters grow when they are made small: then positions would not be those of the text.
  if (lower.length !== text.length) return text;
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), mark(text.slice(at, at + wanted.length), at));
    from = at + wanted.length;
  }
  parts.push(text.slice(from));
  return parts;
}

function mark(text: string, key: number) {
  return <mark key={key}>{text}</mark>;
}
