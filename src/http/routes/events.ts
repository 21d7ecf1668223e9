/** What happens to issues, as it happens. */
import type { FastifyRequest } from 'fastify';
import * as z from 'zod';
import { messageOf } from '../../core/errors.js';
import type { EventKind, IssueEvent } from '../../core/event.js';
import type { EventFeed } from '../../events/feed.js';
import { isPicked, pageOfIssue, presentPlace } from '../../events/read.js';
import type { Log } from '../../log.js';
import type { App } from '../app.js';
import { problems } from '../app.js';
import { allEventsQuery, eventsPageSchema, eventsQuery } from '../event-schemas.js';
import { HttpError } from '../problems.js';
import { idParams } from '../schemas.js';
import { frame, type Stream, type Streams } from '../sse.js';
import type { Store } from '../store.js';
import { wireEvent } from '../wire.js';

const tags = ['events'];
const STREAM = { 'text/event-stream': { schema: z.string() } };

export interface EventParts {
  readonly store: Store;
  readonly feed: EventFeed;
  readonly streams: Streams;
  readonly log: Log;
}

export function registerEvents(app: App, { store, feed, streams, log }: EventParts): void {
  const { client, ask } = store;

  app.get(
    '/api/issues/:id/events',
    {
      // It would never end, and has nothing to say.
      exposeHeadRoute: false,
      schema: {
        tags,
        summary: 'The events of one issue: a stream, or a page of JSON where that is accepted',
        description:
          'Sends what was before, then what comes; after the end of the issue `event: end`. Last-Event-ID, or `after`, is a seq.',
        params: idParams,
        querystring: eventsQuery,
        response: {
          200: { description: 'Events', content: { ...STREAM, 'application/json': { schema: eventsPageSchema } } },
          ...problems(404),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { limit, kinds, attempt } = request.query;
      const after = lastSeq(request) ?? request.query.after;
      await client.get(id);
      if (wantsJson(request)) {
        const { events, over } = await ask((db) => pageOfIssue(db, id, after, limit, { kinds, attempt }));
        return reply.type('application/json').send({ items: events.map(wireEvent), over });
      }
      const stream = streams.open(reply, allowedNow(app, request));
      void follow(stream, log, feed.issue(id, after, stream.signal), async (events) => {
        const wanted = events.filter((event) => isPicked({ kinds, attempt }, event));
        await stream.send(wanted.map((event) => frameOf(event, String(event.seq))).join(''));
        const last = events.at(-1);
        if (last && last !== wanted.at(-1)) stream.passed(String(last.seq));
      });
      return reply;
    },
  );

  app.get(
    '/api/events',
    {
      exposeHeadRoute: false,
      schema: {
        tags,
        summary: 'The events of all issues from now on, or after a cursor',
        description: 'Without `output`, unless `kinds` asks for it. Last-Event-ID, or `after`, is a cursor.',
        querystring: allEventsQuery,
        response: { 200: { description: 'Events', content: STREAM }, ...problems() },
      },
    },
    async (request, reply) => {
      const { kinds } = request.query;
      const given = header(request, 'last-event-id') ?? request.query.after;
      const after = given ?? (await ask(presentPlace));
      const shown = new Set<EventKind>(kinds);
      const isShown = ({ kind }: IssueEvent) => (kinds === undefined ? kind !== 'output' : shown.has(kind));
      const output = shown.has('output');
      // Checks the cursor, and throws while a problem can still be told.
      const events = (signal: AbortSignal) => feed.all(after, signal, { output });
      events(AbortSignal.abort());
      const stream = streams.open(reply, allowedNow(app, request));
      // So that a reader that is cut off before the first event comes back to this place.
      if (given === undefined) await stream.send(`id: ${after}\n\n`);
      void follow(stream, log, events(stream.signal), async (page) => {
        const wanted = page.filter(isShown);
        await stream.send(wanted.map((event) => frameOf(event, event.cursor)).join(''));
        const last = page.at(-1);
        if (last && last !== wanted.at(-1)) stream.passed(last.cursor);
      });
      return reply;
    },
  );
}

function frameOf(event: IssueEvent, id: string): string {
  const { kind, ...data } = wireEvent(event);
  return frame(kind, data, id);
}

async function follow(
  stream: Stream,
  log: Log,
  pages: AsyncIterable<readonly IssueEvent[]>,
  send: (events: readonly IssueEvent[]) => Promise<void>,
): Promise<void> {
  try {
    for await (const events of pages) await send(events);
    if (!stream.signal.aborted) await stream.send(frame('end', {}));
  } catch (error) {
    log.error(`http: a stream of events: ${messageOf(error)}`);
  } finally {
    stream.end();
  }
}

function header({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function lastSeq(request: FastifyRequest): number | undefined {
  const text = header(request, 'last-event-id');
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new HttpError(400, 'Last-Event-ID: must be the id of an event of this stream');
  return Number(text);
}

function wantsJson({ headers: { accept = '' } }: FastifyRequest): boolean {
  return /application\/json/.test(accept) && !/text\/event-stream/.test(accept);
}

/** Whether who asked for a stream may still have it. */
function allowedNow(app: App, request: FastifyRequest): () => boolean {
  const { role } = request;
  const look = app.cape.roleOf;
  return () => look(request) === role;
}
