/** What ended in each while: a bar, with what failed on top. */
import type { History } from '../api/types.js';
import { count, short } from '../text/format.js';
import { ChartFrame } from './frame.js';
import { Key } from './key.js';
import { marks } from './scale.js';

const SERIES = [
  { name: 'completed', label: 'Completed' },
  { name: 'failed', label: 'Failed' },
  { name: 'retried', label: 'Tried again' },
] as const;

export function Throughput({ history }: { history: History }) {
  const { buckets, bucket_seconds: seconds } = history;
  const most = Math.max(0, ...buckets.map((each) => each.completed + each.failed + each.retried));
  const total = (name: (typeof SERIES)[number]['name']) => buckets.reduce((sum, each) => sum + each[name], 0);
  return (
    <ChartFrame
      title={seconds === 60 ? 'Attempts ended, per minute' : `Attempts ended, per ${seconds / 60} minutes`}
      summary={SERIES.map(({ name, label }) => `${label}: ${count(total(name))}`).join(', ')}
      buckets={buckets}
      bucketSeconds={seconds}
      marks={marks(most, true)}
      markText={short}
      legend={(at) =>
        SERIES.map(({ name, label }) => (
          <Key key={name} tone={name} label={label} value={count(at ? at[name] : total(name))} />
        ))
      }
    >
      {({ x, y, step, floor }) =>
        buckets.map((bucket, index) => {
          let below = 0;
          const gap = step > 5 ? 1.5 : 0.25;
          return (
            <g key={bucket.at}>
              {SERIES.map(({ name }) => {
                const from = y(below);
                below += bucket[name];
                // What failed once among thousands is still seen.
                const height = bucket[name] === 0 ? 0 : Math.max(1.5, from - y(below));
                return height === 0 ? null : (
                  <rect
                    key={name}
                    class={`bar of-${name}`}
                    x={x(index) + gap}
                    y={Math.min(from, floor) - height}
                    width={Math.max(0.5, step - 2 * gap)}
                    height={height}
                  />
                );
              })}
            </g>
          );
        })
      }
    </ChartFrame>
  );
}
