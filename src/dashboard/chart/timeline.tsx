/** An issue's time to scale: waiting is thin, an attempt thick and in the colour of what came of it. */
import type { Attempt, IssueDetail } from '../api/types.js';
import { tone } from '../parts/status.js';
import { now } from '../state/clock.js';
import { duration, exact } from '../text/format.js';
import { useWidth } from './frame.js';
import { type Span, spansOf } from './timeline-spans.js';

const HEIGHT = 44;
const MIDDLE = 16;
/** An attempt of a second in a day's wait is no wider than a hair; it must still be hit with a finger. */
const NARROWEST = 5;

export function Timeline({
  issue,
  selected,
  onSelect,
}: {
  issue: IssueDetail;
  selected: number | null;
  onSelect: (attempt: number) => void;
}) {
  const [ref, width] = useWidth();
  const spans = spansOf(issue, issue.attempts, now.value);
  const from = spans[0]?.from ?? 0;
  const to = Math.max(from + 1, spans.at(-1)?.to ?? 0);
  const x = (time: number) => ((time - from) / (to - from)) * (width - NARROWEST);
  return (
    <div ref={ref} class="timeline">
      {width > 0 && (
        <svg
          width={width}
          height={HEIGHT}
          role="img"
          aria-label={`What it spent its time on. ${spans.map(wordsOf).join('; ')}`}
        >
          {spans.map((span) => {
            const left = x(span.from);
            const wide = x(span.to) - left;
            return span.attempt === null ? (
              <line key={`w${span.from}`} class="waited" x1={left} x2={left + wide} y1={MIDDLE} y2={MIDDLE}>
                <title>{wordsOf(span)}</title>
              </line>
            ) : (
              // biome-ignore lint/a11y/noStaticElementInteractions: the table below has the same as buttons
              <rect
                key={span.attempt.attempt}
                class={`ran is-${tone(span.attempt.outcome ?? 'started')}${span.attempt.attempt === selected ? ' selected' : ''}`}
                x={left}
                y={MIDDLE - 10}
                width={Math.max(NARROWEST, wide)}
                height={20}
                rx={3}
                onClick={() => onSelect((span.attempt as Attempt).attempt)}
              >
                <title>{wordsOf(span)}</title>
              </rect>
            );
          })}
          <text class="axis" x={0} y={HEIGHT - 3}>
            {exact(new Date(from).toISOString())}
          </text>
          <text class="axis" x={width} y={HEIGHT - 3} text-anchor="end">
            {duration(to - from)}
          </text>
        </svg>
      )}
    </div>
  );
}

function wordsOf({ attempt, from, to }: Span): string {
  if (attempt === null) return `waited ${duration(to - from)}`;
  const outcome = (attempt.outcome ?? 'running').replaceAll('_', ' ');
  return `attempt ${attempt.attempt} on ${attempt.worker_id}: ${outcome}, ${duration(to - from)}`;
}
