/** Lines of a service's log, before they are shown: what its env file keeps secret is masked once more. */
import { parseUrl } from '../db/url.js';
import { maskedValue } from './show-plan.js';

/** Shorter ones may be a word of many lines. */
const SHORTEST_SECRET = 8;

/** @param variables of the env file */
export function redactLines(lines: readonly string[], variables: Readonly<Record<string, string>>): string[] {
  const secrets = Object.entries(variables)
    .filter(([name, value]) => maskedValue(name, value) !== value)
    .flatMap(([, value]) => [value, ...passwordsOf(value)])
    .filter((secret) => secret.length >= SHORTEST_SECRET);
  return lines.map((line) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), line));
}

function passwordsOf(value: string): string[] {
  try {
    const { password } = parseUrl(value);
    return [password, encodeURIComponent(password)];
  } catch {
    return []; // no URL, or none that can be read: the whole value is masked
  }
}
