/** What is answered where there is no route. */
import type { FastifyRequest } from 'fastify';
import type { App } from './app.js';
import { HttpError } from './problems.js';

/** 405 where another method would do, else 404. */
export function refuseUnknown(known: readonly Known[]) {
  return async ({ url, method }: FastifyRequest): Promise<void> => {
    const path = url.split('?', 1)[0] as string;
    const allowed = [...new Set(known.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))];
    if (allowed.length === 0 || allowed.includes(method)) throw new HttpError(404, 'there is nothing here');
    throw new HttpError(405, `${method} is not for this path`, { allow: allowed.join(', ') });
  };
}

interface Known {
  readonly pattern: RegExp;
  readonly methods: readonly string[];
}

/** Every route from here on. */
export function knowRoutes(app: App): readonly Known[] {
  const known: Known[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(`^${url.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`);
    known.push({ pattern, methods: [method].flat() });
  });
  return known;
}
