/** Readers and writers of events for tests. */
import type { IssueEvent } from '../../src/core/event.js';
import { type EventFeed, type FeedOptions, openFeed } from '../../src/events/feed.js';
import { silent } from '../../src/log.js';
import type { TestDatabase } from '../support/database.js';

export function feedOf(t: TestDatabase, more: Partial<FeedOptions> = {}): EventFeed {
  return openFeed({ databaseUrl: t.url, schema: t.schema, applicationName: 'cape-test-feed', log: silent, ...more });
}

/** A reader that collects all that it is given. */
export interface Follower {
  readonly events: IssueEvent[];
  /** Resolves when the stream has ended. */
  readonly ended: Promise<void>;
  isOver: boolean;
  stop(): void;
}

export function follow(
  stream: (signal: AbortSignal) => AsyncIterable<readonly IssueEvent[]>,
  onPage: (page: readonly IssueEvent[]) => Promise<void> | void = () => {},
): Follower {
  const stopping = new AbortController();
  const follower: { -readonly [K in keyof Follower]: Follower[K] } = {
    events: [],
    isOver: false,
    ended: Promise.resolve(),
    stop: () => stopping.abort(),
  };
  follower.ended = (async () => {
    for await (const page of stream(stopping.signal)) {
      follower.events.push(...page);
      await onPage(page);
    }
    follower.isOver = true;
  })();
  return follower;
}

export const seqs = (events: readonly IssueEvent[]) => events.map(({ seq }) => seq);
export const kinds = (events: readonly IssueEvent[]) => events.map(({ kind }) => kind);
export const names = (events: readonly IssueEvent[]) => events.map(({ issue_id, seq }) => `${issue_id}.${seq}`);
