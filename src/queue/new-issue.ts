/** What may be queued, and what is said about what may not. */
import * as z from 'zod';
import { CapeError } from '../core/errors.js';
import { workerIdSchema } from '../core/issue.js';
import { oneLine } from '../core/text.js';

/** An issue to be queued. Only the description is needed. */
export interface NewIssue {
  /** What is to be done; reaches the command exactly as it is. */
  readonly description: string;
  /** Higher runs first, -32768 to 32767, default 0. */
  readonly priority?: number | undefined;
  /** Only this worker may run it. */
  readonly worker?: string | undefined;
  /** Failures allowed, 0 = no limit; default the worker's setting. */
  readonly maxAttempts?: number | undefined;
  /** Seconds a run may take; default the worker's setting. */
  readonly timeoutSeconds?: number | undefined;
  /** Not before then. */
  readonly runAt?: Date | undefined;
  /** Not before so many milliseconds from now, by the database's clock. Not together with `runAt`. */
  readonly delayMs?: number | undefined;
  /** While an issue with this key is unfinished, adding another returns that one. 1 to 200 characters. */
  readonly key?: string | undefined;
}

/** Postgres text holds no NUL, and a lone surrogate has no UTF-8. */
const storable = (text: string) => !text.includes('\0') && !/\p{Surrogate}/u.test(text);
const storableError = { error: 'must not contain NUL or half a surrogate pair: Postgres text can hold neither' };

const integer = (min: number, max: number) => {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
};

const schema = z.strictObject({
  description: z
    .string({ error: 'must be a text' })
    .refine((text) => text.trim() !== '', { error: 'must not be empty' })
    .refine(storable, storableError),
  priority: integer(-32_768, 32_767).optional(),
  worker: workerIdSchema.optional(),
  maxAttempts: integer(0, 32_767).optional(),
  timeoutSeconds: integer(1, 31_536_000).optional(),
  runAt: z.date({ error: 'must be a date' }).optional(),
  delayMs: integer(0, 31_536_000_000).optional(),
  key: z
    .string()
    .refine((key) => key.trim() !== '' && key.length <= 200, { error: 'must be 1 to 200 characters' })
    .refine(storable, storableError)
    .optional(),
});

/**
 * Checks an issue before it is queued.
 * @param nameOf how the caller's own users know a field (`runAt` is `--run-at` on the command line)
 * @throws CapeError `usage` that names the field, the value and what is allowed
 */
export function checkNewIssue(input: unknown, nameOf: (field: string) => string = (field) => field): NewIssue {
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw refusal(parsed.error.issues[0], input, nameOf);
  if (parsed.data.runAt && parsed.data.delayMs !== undefined) {
    throw new CapeError(
      'usage',
      `${nameOf('runAt')}: got it together with ${nameOf('delayMs')}; choose one of the two`,
    );
  }
  return parsed.data;
}

function refusal(issue: z.core.$ZodIssue | undefined, input: unknown, nameOf: (field: string) => string): CapeError {
  if (issue?.code === 'unrecognized_keys') {
    const known = Object.keys(schema.shape).map(nameOf).join(', ');
    return new CapeError('usage', `unknown field "${issue.keys[0]}"; known: ${known}`);
  }
  const field = String(issue?.path[0] ?? 'issue');
  const received = (input as Record<string, unknown> | null)?.[field];
  return new CapeError('usage', `${nameOf(field)}: got ${show(received)}; ${issue?.message ?? 'is not allowed'}`);
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : `"${oneLine(String(value)).slice(0, 100)}"`;
}
