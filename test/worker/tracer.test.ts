/** Spans of attempts, as an SDK in the worker's process gets them. */
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { IssueWorker } from '../../src/worker/issue-worker.js';
import { tracer } from '../../src/worker/tracer.js';
import { insert } from '../queue/actors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { tempFolder } from '../support/worker.js';

let t: TestDatabase;
let exporter: InMemorySpanExporter;

beforeEach(async () => {
  t = await createTestDatabase();
});

afterEach(() => {
  trace.disable();
  context.disable();
});

function withSdk(): void {
  exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
}

function named(name: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.name === name);
}

const isIn = (child: ReadableSpan, parent: ReadableSpan) =>
  child.parentSpanContext?.spanId === parent.spanContext().spanId &&
  child.spanContext().traceId === parent.spanContext().traceId;

test('without an SDK nothing is traced, and nothing loaded for it', async () => {
  expect(await tracer()).toBeUndefined();
});

test('an attempt is a span with its claim, its run and its settlement; what a handler begins joins the run', async () => {
  withSdk();
  await insert(t.sql, 'a secret matter', 'fails');
  await new IssueWorker({
    databaseUrl: t.url,
    workerId: 'w-1',
    drain: true,
    maxAttempts: 1,
    handler: async ({ description }) => {
      await new Promise(setImmediate);
      trace.getTracer('of the handler').startSpan('inner').end();
      if (description === 'fails') throw new Error('no luck');
    },
  }).run();
  const attempts = named('cape.attempt');
  expect(attempts).toHaveLength(2);
  for (const attempt of attempts) {
    for (const name of ['claim', 'run', 'settle'])
      expect(named(name).filter((span) => isIn(span, attempt))).toHaveLength(1);
    const [run] = named('run').filter((span) => isIn(span, attempt));
    expect(named('inner').filter((span) => isIn(span, run!))).toHaveLength(1);
    expect(JSON.stringify(attempt.attributes)).not.toContain('secret');
  }
  const told = attempts.map(({ attributes }) => [attributes['cape.outcome'], attributes['cape.issue.status']]);
  expect(told.sort()).toEqual([
    ['failed', 'failed'],
    ['succeeded', 'completed'],
  ]);
});

test('a command gets TRACEPARENT, which names its run', async () => {
  withSdk();
  const [id] = await insert(t.sql, 'x');
  await new IssueWorker({
    databaseUrl: t.url,
    workerId: 'w-1',
    drain: true,
    command: `sh -c 'printf %s "$TRACEPARENT" > "$CAPE_RESULT_FILE"'`,
    logDir: tempFolder(),
    environment: { PATH: process.env.PATH },
  }).run();
  const [row] = await t.sql<{ result: string }[]>`select result from cape_issues where id = ${id!}`;
  const { traceId, spanId } = named('run')[0]!.spanContext();
  expect(row?.result).toBe(`00-${traceId}-${spanId}-01`);
});
