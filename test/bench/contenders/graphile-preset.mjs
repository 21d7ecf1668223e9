// graphile-worker as its documentation sets it up for throughput (worker.graphile.org/docs/performance), or as it comes.
const TUNED = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

/** One connection more than tasks, as in their example; nothing is logged, as by ours. */
export function graphilePreset({ url, Logger, tuned, concurrency }) {
  const worker = {
    connectionString: url,
    concurrentJobs: concurrency,
    maxPoolSize: concurrency + 1,
    logger: new Logger(() => () => {}),
    ...(tuned && TUNED),
  };
  return { worker };
}
