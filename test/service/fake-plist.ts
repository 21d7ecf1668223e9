/** Reads a plist as launchd does, as far as ours go: strings, whole numbers, true and false, lists, dictionaries. */

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

export function readPlist(text: string): unknown {
  const tokens = text
    .replace(/<!--[\s\S]*?-->|<\?[^>]*>|<!DOCTYPE[^>]*>/g, '')
    .match(/<(?:key|string|integer)>[^<]*<\/\w+>|<(?:true|false)\/>|<\/?(?:dict|array)>/g);
  return take([...(tokens ?? [])]);
}

function take(tokens: string[]): unknown {
  const [, kind, value = ''] = /^<(\w+)\/?>(?:([^<]*)<)?/.exec(tokens.shift() ?? '') ?? [];
  if (kind === 'dict') return Object.fromEntries(untilEnd(tokens, () => [take(tokens), take(tokens)] as const));
  if (kind === 'array') return untilEnd(tokens, () => take(tokens));
  if (kind === 'integer') return Number(value);
  if (kind === 'true' || kind === 'false') return kind === 'true';
  return value.replace(/&(\w+);/g, (_, name: string) => NAMED[name] ?? '?');
}

function untilEnd<T>(tokens: string[], next: () => T): T[] {
  const found: T[] = [];
  while (tokens.length > 0 && !/^<\/(dict|array)>/.test(tokens[0] as string)) found.push(next());
  tokens.shift();
  return found;
}
