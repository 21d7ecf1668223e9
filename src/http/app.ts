/** The server as its routes see it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { PROBLEM_TYPE } from './problems.js';
import { problemSchema } from './schemas.js';

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

const DESCRIPTIONS = {
  400: 'The request is wrong',
  401: 'No token, or one that is not known',
  403: 'The token may only read, or the request comes from a page of another origin',
  404: 'There is none',
  409: 'Not in this state of things',
  413: 'Larger than is taken',
  415: 'Not JSON',
  416: 'There is no such range',
  422: 'Well written, and can not be done',
  429: 'Too many requests: see Retry-After',
  503: 'The database is out of reach: see Retry-After',
} as const;

type Status = keyof typeof DESCRIPTIONS;

/** The problems that a route may answer with, besides those of every route. */
export function problems<const S extends readonly Status[]>(...statuses: S) {
  const all = [...new Set<Status>([400, 401, 403, 429, 503, ...statuses])].sort();
  return Object.fromEntries(
    all.map((status) => [
      status,
      { description: DESCRIPTIONS[status], content: { [PROBLEM_TYPE]: { schema: problemSchema } } },
    ]),
  ) as Record<never, never>;
}
