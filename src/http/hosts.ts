/**
 * By which names the server may be addressed. A page whose name an attacker points at this machine (DNS rebinding) is of
 * one origin with us as far as its browser knows; the name in its Host header gives it away.
 */

import { isIP } from 'node:net';
import { hostname } from 'node:os';

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Without its port and brackets, in lower case; null for what is no host. */
export function hostOf(header: string): string | null {
  const match = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::\d{1,5})?$/i.exec(header);
  return (match?.[1] ?? match?.[2] ?? null)?.toLowerCase().replace(/\.$/, '') ?? null;
}

/** Addresses are always right: nobody can point somebody else's page at one by another name. */
export function hostCheck(bound: string, further: readonly string[]): (header: string | undefined) => boolean {
  const known = new Set([bound, 'localhost', hostname(), ...further].map((name) => name.toLowerCase()));
  return (header) => {
    const host = header === undefined ? null : hostOf(header);
    return host !== null && (isIP(host) !== 0 || known.has(host));
  };
}
