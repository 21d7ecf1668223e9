/** What `check` found out about one thing. */
import { messageOf } from '../core/errors.js';

/** `ok`: false where a worker could not work; null where it could, but a person should know. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean | null;
  readonly detail: string;
}

/** Runs a check whose failure is its error's message. */
export async function finding(what: string, check: () => Promise<string> | string): Promise<Finding> {
  try {
    return { what, ok: true, detail: await check() };
  } catch (error) {
    return { what, ok: false, detail: messageOf(error) };
  }
}
