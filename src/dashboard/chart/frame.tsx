/** What both charts have: axes, the measure of the page, and a line under the pointer. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Bucket } from '../api/types.js';
import { clock } from '../text/format.js';
import { timeMarks } from './scale.js';

const HEIGHT = 168;
const LEFT = 44;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 22;

export interface Plot {
  /** Pixels of a bucket's left edge, and its width. */
  readonly x: (index: number) => number;
  readonly step: number;
  readonly y: (value: number) => number;
  readonly floor: number;
}

export interface FrameProps {
  readonly title: string;
  /** For whoever does not see it: what the lines say. */
  readonly summary: string;
  readonly buckets: readonly Bucket[];
  readonly bucketSeconds: number;
  readonly marks: readonly number[];
  readonly markText: (value: number) => string;
  readonly legend: (bucket: Bucket | null) => ComponentChildren;
  readonly children: (plot: Plot) => ComponentChildren;
}

export function ChartFrame(props: FrameProps) {
  const { title, summary, buckets, bucketSeconds, marks, markText } = props;
  const [ref, width] = useWidth();
  const [pointed, point] = useState<number | null>(null);
  const step = (width - LEFT - RIGHT) / Math.max(1, buckets.length);
  const floor = HEIGHT - BOTTOM;
  const top = marks.at(-1) ?? 1;
  const plot: Plot = {
    step,
    floor,
    x: (index) => LEFT + index * step,
    y: (value) => floor - (value / top) * (floor - TOP),
  };
  const at = pointed === null ? null : (buckets[pointed] ?? null);
  const begins = Date.parse(buckets[0]?.at ?? '') || 0;
  const ends = begins + buckets.length * bucketSeconds * 1000;
  const over = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const index = Math.floor((event.clientX - box.left - LEFT) / step);
    point(index >= 0 && index < buckets.length ? index : null);
  };
  return (
    <figure class="card chart">
      <figcaption class="card-head">
        <h2>{title}</h2>
        <span class="muted num chart-when">
          {at ? `${clock(Date.parse(at.at))} to ${clock(Date.parse(at.at) + bucketSeconds * 1000)}` : ''}
        </span>
      </figcaption>
      <div class="legend">{props.legend(at)}</div>
      <div ref={ref} class="chart-space">
        {width > 0 && (
          <svg
            width={width}
            height={HEIGHT}
            role="img"
            aria-label={`${title}. ${summary}`}
            onPointerMove={over}
            onPointerLeave={() => point(null)}
          >
            {marks.map((value) => (
              <g key={value}>
                <line class="grid" x1={LEFT} x2={width - RIGHT} y1={plot.y(value)} y2={plot.y(value)} />
                <text class="axis" x={LEFT - 8} y={plot.y(value) + 4} text-anchor="end">
                  {markText(value)}
                </text>
              </g>
            ))}
            {timeMarks(begins, ends, width < 420 ? 4 : 7, new Date(begins).getTimezoneOffset()).map((time) => (
              <text
                key={time}
                class="axis"
                x={Math.min(width - RIGHT - 16, Math.max(LEFT + 14, plot.x((time - begins) / bucketSeconds / 1000)))}
                y={HEIGHT - 5}
                text-anchor="middle"
              >
                {clock(time)}
              </text>
            ))}
            {pointed !== null && at !== null && (
              <rect class="pointed" x={plot.x(pointed)} y={TOP} width={Math.max(1, step)} height={floor - TOP} />
            )}
            {props.children(plot)}
          </svg>
        )}
      </div>
    </figure>
  );
}

/** A drawing that is stretched has stretched letters: it is drawn anew for each width instead. */
export function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const box = ref.current as HTMLDivElement;
    const observer = new ResizeObserver(() => setWidth(Math.floor(box.clientWidth)));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  return [ref, width] as const;
}
