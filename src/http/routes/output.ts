/** The output of an attempt as text: from its file where that is on this host, else from its events, else its end. */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import * as z from 'zod';
import { CapeError } from '../../core/errors.js';
import type { Attempt } from '../../core/issue.js';
import { outputPieces } from '../../events/output.js';
import type { App } from '../app.js';
import { problems } from '../app.js';
import { openOutputFile } from '../output-file.js';
import { HttpError } from '../problems.js';
import { idParams, outputQuery } from '../schemas.js';
import type { Store } from '../store.js';

const TEXT = { 'text/plain': { schema: z.string() } };

export function registerOutput(app: App, { client, ask }: Store): void {
  app.get(
    '/api/issues/:id/output',
    {
      schema: {
        tags: ['issues'],
        summary: 'The output of an attempt, byte for byte; ranges work',
        description:
          'X-Cape-Output says where it is from: `file`, `events` or (its last 8 KiB) `tail`; X-Cape-Skipped how many bytes are left out.',
        params: idParams,
        querystring: outputQuery,
        response: {
          200: { description: 'All of it', content: TEXT },
          206: { description: 'The range that was asked for', content: TEXT },
          ...problems(404, 416),
        },
      },
    },
    async (request, reply) => {
      const { params, query, headers, method } = request;
      await client.get(params.id);
      const attempt = pick(params.id, await client.attempts(params.id), query.attempt);
      const source = await sourceOf(attempt);
      try {
        const cut = query.tail === undefined ? 0 : Math.max(0, source.size - query.tail);
        const range = headers['if-range'] === undefined ? rangeOf(headers.range, source.size - cut) : null;
        describe(reply, source, cut);
        const { start, end } = range ?? { start: 0, end: source.size - cut };
        if (range) {
          reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${source.size - cut}`);
        }
        reply.header('content-length', end - start);
        if (method !== 'HEAD') return reply.send(source.read(cut + start, cut + end) as never);
        await source.close();
        return reply.send(Readable.from([]) as never);
      } catch (error) {
        await source.close();
        throw error;
      }
    },
  );

  async function sourceOf(attempt: Attempt): Promise<Source> {
    const file = await openOutputFile(attempt);
    if (file) return Object.assign(file, { from: 'file' as const });
    const parts: Buffer[] = [];
    let skipped = 0;
    await ask(async (db) => {
      for await (const piece of outputPieces(db, attempt.issue_id, attempt.attempt)) {
        parts.push(Buffer.from(piece.text));
        skipped += piece.skipped;
      }
    });
    if (parts.length > 0) return inMemory('events', Buffer.concat(parts), skipped);
    return inMemory('tail', Buffer.from(attempt.tail ?? ''), 0);
  }
}

interface Source {
  readonly from: 'file' | 'events' | 'tail';
  readonly size: number;
  readonly skipped: number;
  read(start: number, end: number): Readable;
  close(): Promise<void>;
}

function inMemory(from: Source['from'], bytes: Buffer, skipped: number): Source {
  return {
    from,
    size: bytes.length,
    skipped,
    read: (start, end) => Readable.from([bytes.subarray(start, end)], { objectMode: false }),
    close: async () => {},
  };
}

function pick(id: number, attempts: readonly Attempt[], wanted: number | undefined): Attempt {
  const found = attempts.findLast(({ attempt }) => wanted === undefined || attempt === wanted);
  if (found) return found;
  const known = attempts.length === 0 ? '' : `; it has ${attempts.map(({ attempt }) => attempt).join(', ')}`;
  const what = wanted === undefined ? 'has not been started, no output' : `has no attempt ${wanted}${known}`;
  throw new CapeError('refused', `issue ${id}: ${what}`, { missing: true });
}

function describe(reply: FastifyReply, { from, skipped }: Source, cut: number): void {
  reply.headers({
    'content-type': 'text/plain; charset=utf-8',
    'accept-ranges': 'bytes',
    'x-cape-output': from,
    'x-cape-skipped': String(skipped + cut),
  });
}

/** One range; several at once are answered with all of it, as the standard allows. */
function rangeOf(header: string | undefined, size: number): { start: number; end: number } | null {
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return null;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (start < end) return { start, end };
  throw new HttpError(416, `there are ${size} bytes`, { 'content-range': `bytes */${size}` });
}
