/** A plan for people: the files with what changes in them, secrets masked. Pure. */
import { parse } from 'dotenv';
import { SETTINGS } from '../config.js';
import { redactUrl } from '../db/url.js';
import { difference, type Line } from './difference.js';
import type { Plan } from './plan.js';

const URLS: readonly string[] = Object.values(SETTINGS).flatMap((setting) =>
  'secret' in setting ? [setting.env] : [],
);
const KNOWN: readonly string[] = Object.values(SETTINGS).map(({ env }) => env);

/** Of a variable only what is no secret: what is none of our settings may be an API key. */
export function maskedValue(name: string, value: string): string {
  if (URLS.includes(name)) return value === '' ? '' : redactUrl(value);
  return KNOWN.includes(name) ? value : '***';
}

/**
 * The variables of an env file, a line each. Not its text: a secret may have many lines there.
 * @param other the text that it is compared with: what differs where it is masked is said
 */
export function maskedEnv(text: string, other: string | null = null): string {
  const values = parse(text);
  const others = other === null ? values : parse(other);
  const lines = Object.entries(values).map(([name, value]) => {
    const shown = maskedValue(name, value);
    const before = others[name];
    const hidden = before !== undefined && before !== value && maskedValue(name, before) === shown;
    return `${name}=${shown}${hidden ? ' (another one)' : ''}`;
  });
  return lines.map((line) => `${line}\n`).join('');
}

/** One file of a plan as `--dry-run` shows it. */
export interface ShownFile {
  readonly path: string;
  readonly change: 'new' | 'changed' | 'unchanged';
  /** As it will be. */
  readonly text: string;
  readonly difference: readonly Line[];
}

export function shownFiles({ unit, env, spec }: Plan): ShownFile[] {
  const after = maskedEnv(env.after, env.before);
  const shownEnv = { ...env, before: env.before === null ? null : maskedEnv(env.before), after };
  const database = spec.withDatabase && parse(env.after).DATABASE_URL === undefined;
  const withUrl = database ? `${after}DATABASE_URL=(of the database that is installed with it)\n` : after;
  return [shown(unit), shown({ ...shownEnv, after: withUrl })];
}

function shown({ path, before, after }: { path: string; before: string | null; after: string }): ShownFile {
  const change = before === null ? 'new' : before === after ? 'unchanged' : 'changed';
  return { path, change, text: after, difference: before === null ? [] : difference(before, after) };
}
