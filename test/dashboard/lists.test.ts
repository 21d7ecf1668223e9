import { describe, expect, test } from 'vitest';
import { FrameReader } from '../../src/dashboard/api/frames.js';
import type { Attempt, Issue } from '../../src/dashboard/api/types.js';
import { spansOf } from '../../src/dashboard/chart/timeline-spans.js';
import { type Filter, filterOf, matches, pathOf, queryOf } from '../../src/dashboard/issues/filter.js';
import { type Held, mergeChanged, mergeNext, mergeTop } from '../../src/dashboard/issues/merge.js';

const issue = (id: number, more: Partial<Issue> = {}): Issue => ({
  ...{ id, description: `issue ${id}`, status: 'pending', assigned_worker_id: null, target_worker_id: null },
  ...{ created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z', started_at: null },
  ...{ completed_at: null, priority: 0, run_at: null, max_attempts: null, timeout_seconds: null, attempt: 0 },
  ...{ failures: 0, crashes: 0, snoozes: 0, generation: 0, last_error: null, type: 'command', key: null },
  ...more,
});
const held = (from: number, to: number, next: string | null = `${to}`): Held => ({
  items: Array.from({ length: from - to + 1 }, (_, n) => issue(from - n)),
  next,
  complete: true,
  dry: 0,
});
const ids = ({ items }: Held) => items.map(({ id }) => id);
const ANY: Filter = { statuses: [], worker: '', search: '' };

describe('a list that is read again at its top', () => {
  test('keeps what the reader has loaded below, and the place where it goes on', () => {
    const merged = mergeTop(held(100, 1, null), held(105, 56));
    expect(ids(merged)).toEqual(ids(held(105, 1)));
    expect(merged.next).toBeNull();
  });

  test('lets go of what has left the page', () => {
    const page = held(100, 51);
    const merged = mergeTop(held(100, 1), { ...page, items: page.items.filter(({ id }) => id !== 77) });
    expect(ids(merged)).not.toContain(77);
    expect(merged.items).toHaveLength(99);
  });

  test('begins anew where more came than a page holds: nothing is missing in between', () => {
    expect(ids(mergeTop(held(100, 1), held(300, 251)))).toEqual(ids(held(300, 251)));
  });

  test('is the page where that is all there is', () => {
    expect(ids(mergeTop(held(100, 1), held(3, 1, null)))).toEqual([3, 2, 1]);
    expect(ids(mergeTop(null, held(3, 1)))).toEqual([3, 2, 1]);
  });

  test('stays where the server got no further than rows that do not fit, and counts pages that bring nothing', () => {
    const nothing = { items: [], next: 'further', complete: false };
    expect(mergeTop(held(100, 1), nothing)).toEqual(held(100, 1));
    const twice = mergeNext(mergeNext(held(100, 51), nothing), nothing);
    expect([ids(twice).length, twice.dry, twice.next]).toEqual([50, 2, 'further']);
    expect(mergeNext(twice, held(50, 1)).dry).toBe(0);
    expect(mergeTop(null, nothing).dry).toBe(1);
  });

  test('keeps the objects of rows that are the same', () => {
    const before = held(100, 1);
    const after = mergeTop(before, held(100, 51));
    expect(after.items[10]).toBe(before.items[10]);
  });

  test('goes on below without a row twice', () => {
    expect(ids(mergeNext(held(100, 51), held(53, 4)))).toEqual(ids(held(100, 4)));
  });

  test('takes changes of single rows, and drops those that are gone or no longer fit', () => {
    const changed = new Map([
      [5, issue(5, { status: 'failed' })],
      [4, null],
      [3, issue(3, { status: 'completed' })],
      [99, issue(99)],
    ]);
    const merged = mergeChanged(held(5, 1), changed, { ...ANY, statuses: ['pending', 'failed'] });
    expect(merged.items.map(({ id, status }) => [id, status])).toEqual([
      ...[
        [5, 'failed'],
        [2, 'pending'],
        [1, 'pending'],
      ],
    ]);
  });
});

describe('a filter', () => {
  test('is in the address and comes back from it', () => {
    const filter: Filter = { statuses: ['pending', 'failed'], worker: 'build-1', search: 'a & b = "c"' };
    expect(filterOf(new URLSearchParams(queryOf(filter)))).toEqual(filter);
    expect(filterOf(new URLSearchParams('status=nonsense,failed'))).toEqual({ ...ANY, statuses: ['failed'] });
    expect(new URL(pathOf(filter, '7'), 'http://x/').searchParams.get('search')).toBe('a & b = "c"');
  });

  test('holds as on the server', () => {
    expect(matches(issue(1), ANY)).toBe(true);
    expect(matches(issue(1), { ...ANY, statuses: ['failed'] })).toBe(false);
    expect(matches(issue(1, { target_worker_id: 'a' }), { ...ANY, worker: 'a' })).toBe(true);
    expect(matches(issue(1, { description: 'Fix THE login' }), { ...ANY, search: 'the L' })).toBe(true);
  });
});

describe('frames of a stream', () => {
  test('are the same however the bytes arrive', () => {
    const text =
      ': open\n\nid: 5.1.2\n\nid: 7\nevent: started\ndata: {"a":\ndata: 1}\n\n: beat\n\nevent: end\ndata: {}\n\n';
    const frames = [
      { id: '5.1.2', event: 'message', data: '' },
      { id: '7', event: 'started', data: '{"a":\n1}' },
      { id: null, event: 'end', data: '{}' },
    ];
    expect(new FrameReader().push(text)).toEqual(frames);
    const reader = new FrameReader();
    expect([...text].flatMap((character) => reader.push(character))).toEqual(frames);
  });
});

describe('what an issue spent its time on', () => {
  const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString();
  const attempt = (number: number, from: number, to: number | null): Attempt => ({
    ...{ issue_id: 1, attempt: number, worker_id: 'a', started_at: at(from), ended_at: to === null ? null : at(to) },
    ...{ outcome: null, exit_code: null, signal: null, error: null, tail: null, log_path: null, log_host: null },
  });
  const seconds = (time: number) => (time - Date.parse(at(0))) / 1000;

  test('is waiting and attempts, one after the other without a gap', () => {
    const row = issue(1, { created_at: at(0), status: 'pending' });
    const spans = spansOf(row, [attempt(1, 10, 20), attempt(2, 35, 40)], Date.parse(at(60)));
    expect(spans.map(({ kind, from, to }) => [kind, seconds(from), seconds(to)])).toEqual([
      ['wait', 0, 10],
      ['attempt', 10, 20],
      ['wait', 20, 35],
      ['attempt', 35, 40],
      ['wait', 40, 60],
    ]);
  });

  test('ends with the issue, and with now while it runs', () => {
    const done = issue(1, { created_at: at(0), status: 'cancelled', completed_at: at(30) });
    expect(spansOf(done, [], Date.parse(at(99))).map(({ to }) => seconds(to))).toEqual([30]);
    const running = issue(1, { created_at: at(0), status: 'started' });
    const last = spansOf(running, [attempt(1, 5, null)], Date.parse(at(99))).at(-1);
    expect(last && [last.kind, seconds(last.to)]).toEqual(['attempt', 99]);
  });
});
