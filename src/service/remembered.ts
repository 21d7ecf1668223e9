/**
 * What a service was installed with, in the installed file itself: a line for each part, its value as JSON. A file of
 * its own would be one more to lose, and reading it back out of the directives would undo each one's escaping.
 */
import * as z from 'zod';
import { workerIdSchema } from '../core/issue.js';
import { refuseControls } from './refuse.js';
import type { ServiceSpec } from './spec.js';

const path = z.string().startsWith('/');

const schema: z.ZodType<ServiceSpec> = z.object({
  workerId: workerIdSchema,
  scope: z.enum(['system', 'user']),
  account: z.object({
    name: z.string(),
    uid: z.int().nonnegative(),
    gid: z.int().nonnegative(),
    group: z.string(),
    home: path,
  }),
  node: path,
  program: path,
  envFile: path,
  workingDir: path,
  logDir: path,
  path: z.string(),
  harden: z.boolean(),
  withDatabase: z.boolean(),
  graceMs: z.number().nonnegative(),
});

const KEYS = [
  ...['workerId', 'scope', 'account', 'node', 'program', 'envFile', 'workingDir', 'logDir', 'path', 'harden'],
  ...['withDatabase', 'graceMs'],
] as (keyof ServiceSpec)[];

/** The lines, `workerId="alleycat-1"`, in an order that does not change. @throws CapeError `config` as refuseControls does */
export function rememberedLines(spec: ServiceSpec): string {
  return KEYS.map((key) => `${key}=${refuseControls(key, JSON.stringify(spec[key]))}`).join('\n');
}

/** The spec that such lines were made from; null where they are not ours, or were changed into what can't be. */
export function recall(lines: string): ServiceSpec | null {
  try {
    const entries = [...lines.matchAll(/^([a-zA-Z]+)=(.+)$/gm)].map(([, key, json]) => [
      key,
      JSON.parse(json as string),
    ]);
    return schema.safeParse(Object.fromEntries(entries)).data ?? null;
  } catch {
    return null;
  }
}
