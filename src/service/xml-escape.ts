/** Escaping for plists. */
import { refuseControls } from './refuse.js';

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Text between two tags. */
export function xmlText(what: string, text: string): string {
  return refuseControls(what, text).replace(/[&<>]/g, (char) => ENTITIES[char] as string);
}

/** Text within a comment, where two dashes are not allowed: the second one as JSON can write it. */
export function xmlComment(json: string): string {
  return json.replace(/-(?=-)/g, '\\u002d');
}
