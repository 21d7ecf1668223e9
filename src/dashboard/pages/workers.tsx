/** Every worker that was ever seen. */
import { ask } from '../api/request.js';
import type { Worker } from '../api/types.js';
import { Empty, Trouble } from '../parts/empty.js';
import { moveRow } from '../parts/rows.js';
import { WorkerTable } from '../parts/worker-table.js';
import { useKeys } from '../state/keys.js';
import { useLoaded } from '../state/load.js';

export function WorkersPage() {
  const workers = useLoaded('workers', (signal) => ask<{ items: Worker[] }>('api/workers', signal), {
    every: 5000,
    on: ({ kind }) => kind !== 'log',
  });
  useKeys({ j: () => moveRow(1), k: () => moveRow(-1), ArrowDown: () => moveRow(1), ArrowUp: () => moveRow(-1) });
  return (
    <main class="page">
      <div class="page-head">
        <h1>Workers</h1>
      </div>
      <Trouble message={workers.error} />
      <section class="card" aria-label="Workers">
        {workers.data?.items.length === 0 ? (
          <Empty title="No worker has been seen yet." command="npx cape-worker run">
            On the host where the commands are to run:
          </Empty>
        ) : (
          <WorkerTable workers={workers.data?.items ?? []} />
        )}
      </section>
    </main>
  );
}
