/** Server-sent events, taken apart: `fetch` gives bytes, and EventSource would hide the status of a refusal. */

export interface Frame {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** Gives the frames of a stream that arrives in pieces; comments are left out. */
export class FrameReader {
  private rest = '';

  /** @returns the frames that are complete now */
  push(text: string): Frame[] {
    const parts = (this.rest + text).split(/\r?\n\r?\n/);
    this.rest = parts.pop() ?? '';
    return parts.flatMap((part) => frameOf(part) ?? []);
  }
}

function frameOf(part: string): Frame | null {
  let id: string | null = null;
  let event = 'message';
  const data: string[] = [];
  for (const line of part.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    // A comment only shows that the line is alive.
    if (colon === 0 || line === '') continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'id') id = value;
    if (name === 'event') event = value;
    if (name === 'data') data.push(value);
  }
  // An id alone is a place to come back to.
  return data.length === 0 && id === null && event === 'message' ? null : { id, event, data: data.join('\n') };
}
