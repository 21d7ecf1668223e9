/** How long issues waited and ran: medians, with gaps where nothing did. */
import type { Bucket, History } from '../api/types.js';
import { duration } from '../text/format.js';
import { ChartFrame, type Plot } from './frame.js';
import { Key } from './key.js';
import { durationMarks } from './scale.js';

const SERIES = [
  { name: 'wait_ms', tone: 'wait', label: 'Waited' },
  { name: 'run_ms', tone: 'run', label: 'Ran' },
] as const;
type Name = (typeof SERIES)[number]['name'];

export function Wait({ history }: { history: History }) {
  const { buckets, bucket_seconds: seconds } = history;
  const most = Math.max(0, ...buckets.flatMap((each) => [each.wait_ms ?? 0, each.run_ms ?? 0]));
  const text = (value: number | null) => (value === null ? '–' : duration(value));
  const typical = (name: Name) => text(median(buckets.flatMap((each) => each[name] ?? [])));
  return (
    <ChartFrame
      title="Wait and run time (medians)"
      summary={SERIES.map(({ name, label }) => `${label}: ${typical(name)}`).join(', ')}
      buckets={buckets}
      bucketSeconds={seconds}
      marks={durationMarks(most)}
      markText={(value) => (value === 0 ? '0' : duration(value).replace('.0', ''))}
      legend={(at) =>
        SERIES.map(({ name, tone, label }) => (
          <Key key={name} tone={tone} label={label} value={at ? text(at[name]) : typical(name)} />
        ))
      }
    >
      {(plot) =>
        SERIES.map(({ name, tone }) => (
          <g key={name}>
            <path class={`curve of-${tone}`} d={pathOf(buckets, name, plot)} />
            {lonely(buckets, name).map((index) => (
              <circle
                key={index}
                class={`dot of-${tone}`}
                cx={plot.x(index) + plot.step / 2}
                cy={plot.y(buckets[index]?.[name] as number)}
                r="2"
              />
            ))}
          </g>
        ))
      }
    </ChartFrame>
  );
}

function pathOf(buckets: readonly Bucket[], name: Name, { x, y, step }: Plot): string {
  let pen = 'M';
  return buckets
    .map((bucket, index) => {
      const value = bucket[name];
      const drawn = value === null ? '' : `${pen}${(x(index) + step / 2).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = value === null ? 'M' : 'L';
      return drawn;
    })
    .join('');
}

/** A value between two gaps is no line: it gets a dot. */
function lonely(buckets: readonly Bucket[], name: Name): number[] {
  const has = (index: number) => (buckets[index]?.[name] ?? null) !== null;
  return buckets.flatMap((_, index) => (has(index) && !has(index - 1) && !has(index + 1) ? [index] : []));
}

function median(values: number[]): number | null {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? null;
}
