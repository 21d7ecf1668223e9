/** Words of the command line turned into values; what is wrong with one is said in one line. */
import type { z } from 'zod';
import { CapeError } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { duration, whole } from '../core/values.js';

/**
 * Checks an option's text by the schema that says what is allowed.
 * @throws CapeError `usage`, naming the option and what was received
 */
export function checked<T extends z.ZodType>(name: string, schema: T, text: string): z.output<T> {
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new CapeError('usage', `${name}: got ${quoted(text)}; ${parsed.error.issues[0]?.message ?? 'is not allowed'}`);
}

export function quoted(text: string): string {
  return `"${oneLine(text).slice(0, 200)}"`;
}

const issueId = whole(1, 2_147_483_647);

/** @throws CapeError `usage` for a word that is no id */
export function idsOf(words: readonly string[]): number[] {
  return words.map((word) => checked('issue id', issueId, word));
}

/** A number where it looks like one; the text itself elsewhere, so that the check which follows can show it. */
export function numberOrText(text: string | undefined): number | string | undefined {
  return text !== undefined && /^[+-]?\d{1,15}$/.test(text) ? Number(text) : text;
}

const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)(Z|[+-]\d{2}:?\d{2})?)?$/i;

/**
 * `+10m` is a delay, which the database adds to its own clock; anything else must be a date. Without a zone it is local
 * time, a day alone its midnight (JavaScript itself reads that one as UTC).
 */
export function whenOf(name: string, text: string): { runAt: Date } | { delayMs: number } {
  if (text.startsWith('+')) return { delayMs: checked(name, duration({}), text.slice(1)) };
  const [, year, month, day, time = '00:00', zone = ''] = ISO.exec(text) ?? [];
  const runAt = new Date(`${year}-${month}-${day}T${time}${zone.toUpperCase()}`);
  // A day that does not exist, such as 30 February, would become one of March.
  const exists = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day);
  if (!exists || Number.isNaN(runAt.getTime())) {
    throw new CapeError(
      'usage',
      `${name}: got ${quoted(text)}; must be a date such as 2026-03-01T14:30 (local time unless it ends in Z or +01:00), or +10m`,
    );
  }
  return { runAt };
}
