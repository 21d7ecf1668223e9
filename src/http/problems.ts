/** Every error as a problem document (RFC 9457): what a person can act on in words, our own bugs without any. */
import { STATUS_CODES } from 'node:http';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { CapeError, type ErrorKind } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { failureOf } from '../db/failure.js';
import type { Problem } from './wire-types.js';

export const PROBLEM_TYPE = 'application/problem+json';

/** An error that knows its status. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.status = status;
    this.headers = headers;
  }
}

export interface Answer {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
  /** Something for the log: no client's doing. */
  readonly bug: boolean;
}

export function problemOf(status: number, detail: string): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail };
}

const STATUS_OF_KIND: Readonly<Record<ErrorKind, number>> = {
  usage: 400,
  refused: 409,
  taken: 409,
  database: 503,
  config: 503,
  bug: 500,
};

/** What is answered to whatever was thrown. */
export function answerTo(error: unknown): Answer {
  if (error instanceof HttpError) return { ...told(error.status, error.message), headers: error.headers };
  if (error instanceof CapeError) return toldOf(error);
  if (hasZodFastifySchemaValidationErrors(error))
    return told(400, wordsOf(error as unknown as { validation: readonly Complaint[] }));
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  // Fastify's own: a body that is no JSON, too large, of another type.
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return told(statusCode, oneLine(String(message)));
  return { problem: problemOf(500, 'this is a bug in cape-worker; its log says more'), headers: {}, bug: true };
}

function told(status: number, detail: string): Answer {
  return { problem: problemOf(status, detail), headers: {}, bug: false };
}

/** Which database it is, is nobody's business out there; the log has the whole of it. */
function toldOf(error: CapeError): Answer {
  if (error.missing) return told(404, error.message);
  const kind = error.cause === undefined ? null : failureOf(error.cause).kind;
  if (kind === 'transient') return { ...told(503, 'the database is busy; try again'), headers: { 'retry-after': '1' } };
  if (kind === 'data') return told(422, 'the database refuses the values');
  const status = STATUS_OF_KIND[error.kind];
  if (status !== 503) return told(status, error.message);
  const detail =
    error.kind === 'database' ? 'the database is out of reach' : 'the database is not set up; the log says more';
  return { ...told(503, detail), headers: { 'retry-after': '5' }, bug: false };
}

interface Complaint {
  readonly instancePath: string;
  readonly message?: string | undefined;
  readonly params?: Record<string, unknown>;
}

/** `body/priority: must be a whole number`. */
function wordsOf(error: { validation: readonly Complaint[] }): string {
  const { validationContext = 'request' } = error as { validationContext?: string };
  return error.validation
    .flatMap((one) => closest(one))
    .slice(0, 5)
    .map(({ path, message }) => oneLine(`${[validationContext, ...path].join('/')}: ${message}`))
    .join('; ');
}

interface Words {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Of a body that may be one thing or the other: what is wrong with the one that it is more like. */
function closest({ instancePath, message = 'is not allowed', params = {} }: Complaint): readonly Words[] {
  const [best] = Array.isArray(params.errors)
    ? (params.errors as Words[][]).toSorted((a, b) => a.length - b.length || depth(b) - depth(a))
    : [];
  return best?.length ? best : [{ path: instancePath.split('/').filter((part) => part !== ''), message }];
}

function depth(words: readonly Words[]): number {
  return Math.max(...words.map(({ path }) => path.length));
}
