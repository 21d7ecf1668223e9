/** All issues: narrowed, watched, and many changed at once. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { cancelAll, mayCancel, mayRetry, retryAll } from '../actions.js';
import { ask } from '../api/request.js';
import type { Issue, Stats, Worker } from '../api/types.js';
import { openAddDialog } from '../issues/add-dialog.js';
import { type Filter, filterOf, isEmpty, queryOf } from '../issues/filter.js';
import { IssueTable } from '../issues/issue-table.js';
import { Toolbar } from '../issues/toolbar.js';
import { type IssueList, useIssues } from '../issues/use-issues.js';
import { Empty, Trouble } from '../parts/empty.js';
import { moveRow, rowAtHand } from '../parts/rows.js';
import { useKeys } from '../state/keys.js';
import { useLoaded } from '../state/load.js';
import { replace, route, to } from '../state/route.js';
import { mayWrite } from '../state/session.js';
import { count, plural } from '../text/format.js';

export function IssuesPage() {
  const { query } = route.value;
  const filter = filterOf(query);
  const list = useIssues(filter);
  const stats = useLoaded('stats', (signal) => ask<Stats>('api/stats', signal), { every: 5000, on: () => true });
  const workers = useLoaded('workers', (signal) => ask<{ items: Worker[] }>('api/workers', signal), { every: 30_000 });
  const { selected, select, clear } = useSelection(filter);
  const items = list.held?.items ?? [];

  /** What is selected, else the row at hand. */
  const atHand = (fits: (issue: Issue) => boolean): Issue[] => {
    const row = rowAtHand();
    return items.filter(({ id }) => (selected.size > 0 ? selected.has(id) : id === row)).filter(fits);
  };
  const retry = async () => {
    if (await retryAll(atHand(mayRetry).map(({ id }) => id))) list.reload();
  };
  const cancel = async () => {
    const issues = atHand(mayCancel);
    const running = issues.filter(({ status }) => status === 'started').length;
    const ids = issues.map(({ id }) => id);
    if (mayWrite.peek() && ids.length > 0 && (await cancelAll(ids, running))) list.reload();
  };
  const write = mayWrite.value;
  useKeys({
    j: () => moveRow(1),
    k: () => moveRow(-1),
    ArrowDown: () => moveRow(1),
    ArrowUp: () => moveRow(-1),
    ...(write && {
      r: retry,
      c: cancel,
      x: () => {
        const id = rowAtHand();
        if (id !== null) select([id], !selected.has(id));
      },
    }),
    Escape: clear,
  });
  return (
    <main class="page">
      <h1 class="unseen">Issues</h1>
      <Toolbar
        filter={filter}
        onFilter={(next) => replace(to('/issues', queryOf(next)))}
        stats={stats.data}
        workers={(workers.data?.items ?? []).map(({ id }) => id)}
        focus={query.has('find')}
      />
      <Trouble message={list.error} />
      {selected.size > 0 && write && (
        <section class="bulk" aria-label="Selected issues">
          <b class="num">{count(selected.size)} selected</b>
          <button type="button" class="button small" onClick={retry} disabled={atHand(mayRetry).length === 0}>
            Retry
          </button>
          <button type="button" class="button small" onClick={cancel} disabled={atHand(mayCancel).length === 0}>
            Cancel
          </button>
          <button type="button" class="button small quiet" onClick={clear}>
            Clear selection
          </button>
        </section>
      )}
      <section class={list.stale ? 'card stale' : 'card'} aria-label="Issues" aria-busy={list.stale}>
        {list.held && !list.stale && items.length === 0 && list.held.next === null ? (
          <Nothing filter={filter} />
        ) : (
          <IssueTable issues={items} selected={selected} onSelect={write ? select : null} />
        )}
        <More list={list} />
      </section>
    </main>
  );
}

function useSelection(filter: Filter) {
  const [selected, setSelected] = useState<ReadonlySet<number>>(new Set());
  const clear = () => setSelected(new Set());
  // What is no longer seen must not be changed with a key.
  useEffect(clear, [JSON.stringify(filter)]);
  const select = (ids: readonly number[], on: boolean) =>
    setSelected((was) => {
      const next = new Set(was);
      for (const id of ids) {
        if (on) next.add(id);
        else next.delete(id);
      }
      return next;
    });
  return { selected, select, clear };
}

function Nothing({ filter }: { filter: Filter }) {
  if (!isEmpty(filter)) {
    return <Empty title="No issue fits this filter.">Clear it, or look for something else.</Empty>;
  }
  return (
    <Empty title="No issues yet." command='npx cape-worker issues add "Fix the login bug"'>
      {mayWrite.value ? (
        <>
          <button type="button" class="button small" onClick={openAddDialog}>
            Add one here
          </button>{' '}
          or from a terminal:
        </>
      ) : (
        'From a terminal:'
      )}
    </Empty>
  );
}

/** Reads on when its button comes into view; a thousand rows are enough of that. */
const BY_ITSELF = 1000;
/** Where so many pages brought nothing, the reader says whether to look at millions. */
const MOST_DRY = 5;

function More({ list }: { list: IssueList }) {
  const ref = useRef<HTMLDivElement>(null);
  const [isNear, setNear] = useState(false);
  const { held, busy, error } = list;
  const next = held?.next ?? null;
  const hasFoot = next !== null;
  useEffect(() => {
    if (ref.current === null) return;
    const observer = new IntersectionObserver((entries) => setNear(entries.at(-1)?.isIntersecting ?? false), {
      rootMargin: '400px',
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [hasFoot]);
  // By what is, not by what has just changed: an observer tells once that the foot has come near, also while a page is read.
  // After a failure only the button: a server in trouble is not asked again and again.
  const goesOn = isNear && !busy && error === null && held !== null;
  useEffect(() => {
    if (goesOn && held.dry < MOST_DRY && held.items.length < BY_ITSELF) list.more();
  }, [goesOn, held]);
  if (held === null) return <p class="list-foot muted">Reading …</p>;
  if (next === null) {
    return held.items.length > 0 ? <p class="list-foot muted">{plural(held.items.length, 'issue')}</p> : null;
  }
  return (
    <div ref={ref} class="list-foot">
      {held.dry >= MOST_DRY && <span class="muted">Only the newest issues were looked at so far. </span>}
      <button type="button" class="button small" onClick={() => list.more()} disabled={busy}>
        {busy ? 'Reading …' : held.dry < MOST_DRY ? 'Show more' : 'Look further'}
      </button>
    </div>
  );
}
