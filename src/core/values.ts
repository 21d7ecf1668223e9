/** The kinds of values that settings have, each with what is allowed said in words: they become the error's text. */
import * as z from 'zod';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  t: 1024 ** 4,
  tib: 1024 ** 4,
};

/** The greatest unit that leaves a whole number, as people would write the value. */
function inUnits(value: number, units: readonly (readonly [string, number])[]): string {
  const [name, one] = units.findLast(([, one]) => value >= one && value % one === 0) ?? units[0] ?? ['', 1];
  return `${value / one}${name}`;
}

/** Milliseconds as `500ms`, `90s`, `365d`. */
export function durationName(ms: number): string {
  return ms === 0 ? '0s' : inUnits(ms, Object.entries(UNITS));
}

/** Bytes as `100B`, `64KiB`, `1TiB`. */
function sizeName(bytes: number): string {
  return inUnits(
    bytes,
    ['B', 'KiB', 'MiB', 'GiB', 'TiB'].map((name, power) => [name, 1024 ** power]),
  );
}

/** Seconds, or a number with a unit (`90`, `500ms`, `5m`, `1h`, `30d`); the value is in milliseconds. */
export function duration(limits: { min?: number; max?: number }) {
  const { min = 0, max = 365 * 86_400_000 } = limits;
  const error = `must be seconds or a number with ms, s, m, h or d (such as 90 or 5m), from ${durationName(min)} to ${durationName(max)}`;
  return z.union([z.string(), z.number()], { error }).transform((value, context) => {
    const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/i.exec(String(value).trim());
    const ms = match
      ? Math.round(Number(match[1]) * (UNITS[(match[2] ?? 's').toLowerCase()] ?? Number.NaN))
      : Number.NaN;
    if (Number.isFinite(ms) && ms >= min && ms <= max) return ms;
    context.addIssue({ code: 'custom', message: error });
    return z.NEVER;
  });
}

/** Bytes, or a number with KiB, MiB, GiB or TiB; the value is in bytes. */
export function size(limits: { min?: number; max?: number }) {
  const { min = 0, max = 1024 ** 4 } = limits;
  const error = `must be bytes or a number with KiB, MiB, GiB or TiB (such as 64MiB), from ${sizeName(min)} to ${sizeName(max)}`;
  return z.union([z.string(), z.number()], { error }).transform((value, context) => {
    const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(String(value).trim());
    const bytes = match
      ? Math.round(Number(match[1]) * (SIZES[(match[2] ?? '').toLowerCase()] ?? Number.NaN))
      : Number.NaN;
    if (Number.isFinite(bytes) && bytes >= min && bytes <= max) return bytes;
    // MB may be meant as 1000 or 1024 times 1000: said, not guessed.
    const [, number, unit] = /^([\d.]+)\s*([kmgt])b$/i.exec(String(value).trim()) ?? [];
    const meant = unit === undefined ? '' : `; did you mean ${number}${unit.toUpperCase()}iB?`;
    context.addIssue({ code: 'custom', message: error + meant });
    return z.NEVER;
  });
}

/** A whole number in decimal digits. */
export function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.union([z.string(), z.number()], { error }).transform((value, context) => {
    const number = /^\d{1,15}$/.test(String(value).trim()) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    context.addIssue({ code: 'custom', message: error });
    return z.NEVER;
  });
}

/** true/false, also as 1/0, yes/no, on/off. */
export const flag = z
  .union([z.boolean(), z.string()], { error: 'must be true or false' })
  .transform((value, context) => {
    const word = String(value).trim().toLowerCase();
    if (['true', '1', 'yes', 'on'].includes(word)) return true;
    if (['false', '0', 'no', 'off'].includes(word)) return false;
    context.addIssue({ code: 'custom', message: 'must be true or false' });
    return z.NEVER;
  });

/** Names separated by commas. */
export const list = z
  .string()
  .regex(/^\s*(?:[A-Za-z_][A-Za-z0-9_]*\*?\s*(?:,\s*|$))*$/, {
    error: 'must be names of environment variables separated by commas, each possibly ending in "*"',
  })
  .transform((value) => splitCommas(value));

/** Exit codes from 1 to 255 separated by commas; empty = none. */
export const exitCodes = z.union([z.string(), z.number()]).transform((value, context) => {
  const codes = splitCommas(String(value)).map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : Number.NaN));
  if (codes.every((code) => code >= 1 && code <= 255)) return codes;
  context.addIssue({ code: 'custom', message: 'must be exit codes from 1 to 255 separated by commas' });
  return z.NEVER;
});

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** In any case; `warning` is `warn` too, as other programs write it. */
export const logLevel = z
  .string()
  .transform((value) =>
    value
      .trim()
      .toLowerCase()
      .replace(/^warning$/, 'warn'),
  )
  .pipe(z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` }));

function splitCommas(value: string): string[] {
  return value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export const DEFAULT_ADDRESS: Address = { host: '127.0.0.1', port: 7070 };

/** `host:port`, a host or a port alone (IPv6 in brackets), or nothing but "yes": the rest is the default. */
export const address = z
  .union([z.string(), z.boolean()], { error: 'must be host:port' })
  .transform((value, context) => {
    const text = String(value).trim();
    if (text === '' || /^(true|yes|on)$/i.test(text)) return DEFAULT_ADDRESS;
    const [, bracketed, name, port] =
      /^(?:\[([\da-f:.]+)\]|([\w.-]*[a-z_.-][\w.-]*|(?=:)))?:?(\d{1,5})?$/i.exec(text) ?? [];
    const number = port === undefined ? DEFAULT_ADDRESS.port : Number(port);
    const host = bracketed ?? (name || DEFAULT_ADDRESS.host);
    const isWritten = port === undefined || text === port || text.endsWith(`:${port}`);
    // "false" is a name like any other, and surely meant for none.
    const isNo = /^(false|no|off)$/i.test(text);
    if (!isNo && (bracketed || name || port !== undefined) && number <= 65_535 && isWritten)
      return { host, port: number };
    context.addIssue({ code: 'custom', message: 'must be host:port, such as 127.0.0.1:7070 or [::1]:7070' });
    return z.NEVER;
  });

/** What a token of the HTTP API allows: to look, or to change things as well. */
export const ROLES = ['read', 'write'] as const;
export type Role = (typeof ROLES)[number];

export interface ApiToken {
  readonly role: Role;
  readonly token: string;
}

/** Short ones could be guessed from the outside. */
const SHORTEST_TOKEN = 16;

/** `read:<token>,write:<token>`, several of each. Messages never repeat a part of it. */
export const apiTokens = z.string().transform((text, context): ApiToken[] => {
  const parts = text.split(',').map((part) => part.trim());
  const tokens = parts.filter((part) => part !== '').map((part) => /^(read|write):([\x21-\x2b\x2d-\x7e]+)$/.exec(part));
  if (tokens.length > 0 && tokens.every((match) => match?.[2] !== undefined && match[2].length >= SHORTEST_TOKEN))
    return tokens.map((match) => ({ role: match?.[1] as Role, token: match?.[2] as string }));
  context.addIssue({
    code: 'custom',
    message: `must be read:<token> or write:<token>, several with commas, each of ${SHORTEST_TOKEN} or more visible ASCII characters`,
  });
  return z.NEVER;
});
