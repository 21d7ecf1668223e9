/** What `check` found out about one thing. */
import { CapeError, messageOf } from '../core/errors.js';
import { failureOf } from '../db/failure.js';

/** `ok`: false where a worker could not work; null where it could, but a person should know. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean | null;
  readonly detail: string;
}

/**
 * Runs a check. Its text is the detail of a good finding, an error that a person can act on that of a bad one.
 * @throws whatever is a bug of ours
 */
export async function finding(
  what: string,
  check: () => Promise<string | Omit<Finding, 'what'>> | string,
): Promise<Finding> {
  try {
    const found = await check();
    return typeof found === 'string' ? { what, ok: true, detail: found } : { what, ...found };
  } catch (error) {
    if (!(error instanceof CapeError) && failureOf(error).kind === 'other') throw error;
    return { what, ok: false, detail: messageOf(error) };
  }
}
