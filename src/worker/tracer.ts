/**
 * Traces of attempts by OpenTelemetry: `cape.attempt` with `claim`, `run` and `settle` in it. Where the process has an SDK
 * when the worker starts; elsewhere not even the API is loaded.
 */
import type { Span, SpanContext, Tracer } from '@opentelemetry/api';
import type { Claim } from '../core/issue.js';
import type { Outcome } from '../core/outcome.js';
import type { Settlement } from '../queue/settle.js';
import type { WorkerObserver } from './observer.js';

type Api = typeof import('@opentelemetry/api');

/** Undefined where no SDK is there to take traces. */
export async function tracer(): Promise<WorkerObserver | undefined> {
  if (!hasSdk()) return undefined;
  const traces = new AttemptTraces(await import('@opentelemetry/api'));
  return {
    claimed: (claims, tookMs) => traces.claimed(claims, tookMs),
    starting: (claim, start) => traces.starting(claim, start),
    variables: () => traces.variables(),
    ended: (claim, outcome) => traces.ended(claim, outcome),
    settled: (settlement, isLost) => traces.settled(settlement, isLost),
  };
}

/** Where every copy of the API, in whatever package, keeps what an SDK has registered. */
function hasSdk(): boolean {
  const registered = (globalThis as { [key: symbol]: { trace?: unknown } | undefined })[
    Symbol.for('opentelemetry.js.api.1')
  ];
  return registered?.trace !== undefined;
}

/** Outcomes that are nobody's failure. */
const FINE: readonly Outcome['kind'][] = ['succeeded', 'cancelled', 'interrupted', 'snoozed'];

interface Trace {
  readonly attempt: Span;
  /** `run`, then `settle`. */
  step: Span | null;
}

class AttemptTraces {
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #open = new Map<string, Trace>();
  #starting: Span | null = null;

  constructor(api: Api) {
    this.#api = api;
    this.#tracer = api.trace.getTracer('cape-worker');
  }

  claimed(claims: readonly Claim[], tookMs: number): void {
    const startTime = Date.now() - tookMs;
    for (const claim of claims) {
      const trace = this.#begin(claim, startTime);
      this.#child(trace, 'claim', startTime).end();
    }
  }

  starting<T>(claim: Claim, start: () => T): T {
    const { context, trace } = this.#api;
    const open = this.#traceOf(claim);
    open.step = this.#child(open, 'run');
    this.#starting = open.step;
    try {
      // What a handler begins in here belongs to the span.
      return context.with(trace.setSpan(context.active(), open.step), start);
    } finally {
      this.#starting = null;
    }
  }

  /** As W3C's Trace Context names them for HTTP, and OpenTelemetry for processes. */
  variables(): Record<string, string> {
    return this.#starting === null ? {} : variablesOf(this.#starting.spanContext());
  }

  ended(claim: Claim, { kind, error, exitCode, signal }: Outcome): void {
    const open = this.#traceOf(claim);
    for (const span of [open.attempt, ...(open.step ? [open.step] : [])]) {
      span.setAttribute('cape.outcome', kind);
      if (!FINE.includes(kind)) span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: error ?? kind });
    }
    if (exitCode != null) open.step?.setAttribute('cape.exit_code', exitCode);
    if (signal != null) open.step?.setAttribute('cape.signal', signal);
    open.step?.end();
    if (kind === 'lost') this.#close(keyOf(claim.issue.id, claim.token));
    else open.step = this.#child(open, 'settle');
  }

  settled({ id, token, verdict }: Settlement, isLost: boolean): void {
    const open = this.#open.get(keyOf(id, token));
    const became = isLost ? 'lost' : verdict.action === 'finish' ? verdict.status : 'pending';
    open?.attempt.setAttribute('cape.issue.status', became);
    open?.step?.end();
    this.#close(keyOf(id, token));
  }

  #begin({ issue, attempt, token }: Claim, startTime?: number): Trace {
    const { SpanKind, ROOT_CONTEXT } = this.#api;
    // No word of the issue's own text: that may be a secret, and is not to be spread by what only watches.
    const attributes = { 'cape.issue.id': issue.id, 'cape.issue.attempt': attempt, 'cape.issue.type': issue.type };
    const options = { kind: SpanKind.CONSUMER, attributes, ...(startTime === undefined ? {} : { startTime }) };
    const begun = { attempt: this.#tracer.startSpan('cape.attempt', options, ROOT_CONTEXT), step: null };
    this.#open.set(keyOf(issue.id, token), begun);
    return begun;
  }

  /** The answer to its claim may have been lost, and the claim found later. */
  #traceOf(claim: Claim): Trace {
    return this.#open.get(keyOf(claim.issue.id, claim.token)) ?? this.#begin(claim);
  }

  #child({ attempt }: Trace, name: string, startTime?: number): Span {
    const { trace, ROOT_CONTEXT } = this.#api;
    const options = startTime === undefined ? {} : { startTime };
    return this.#tracer.startSpan(name, options, trace.setSpan(ROOT_CONTEXT, attempt));
  }

  #close(key: string): void {
    this.#open.get(key)?.attempt.end();
    this.#open.delete(key);
  }
}

function keyOf(id: number, token: string): string {
  return `${id} ${token}`;
}

function variablesOf({ traceId, spanId, traceFlags, traceState }: SpanContext): Record<string, string> {
  const flags = traceFlags.toString(16).padStart(2, '0');
  const state = traceState?.serialize();
  return { TRACEPARENT: `00-${traceId}-${spanId}-${flags}`, ...(state ? { TRACESTATE: state } : {}) };
}
