/** The output of an attempt: follows, is searched, and holds in the page only what is seen. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Icon } from '../parts/icon.js';
import { useKeys } from '../state/keys.js';
import { count } from '../text/format.js';
import { LineView } from './line-view.js';
import { type Source, useLines } from './use-lines.js';
import { type Search, useSearch } from './use-search.js';
import { scrollTo, windowOf } from './window.js';

/** Pixels, as in the style sheet: lines do not wrap, so that each has a known place. */
const LINE_HEIGHT = 18;
/** So near the end counts as at the end. */
const NEAR = 24;

export function OutputView(source: Source) {
  const { store, version, state, problem, note } = useLines(source);
  const box = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const [view, setView] = useState({ top: 0, height: 400 });
  const [follow, setFollow] = useState(source.running);
  // What the page scrolls by itself is no wish of the reader's.
  const ours = useRef(false);

  const moveTo = (top: number) => {
    const element = box.current;
    if (element === null || Math.abs(element.scrollTop - top) < 1) return;
    ours.current = true;
    element.scrollTop = top;
  };
  const search = useSearch(store, version, (line) => {
    setFollow(false);
    const element = box.current as HTMLDivElement;
    const top = scrollTo(line, LINE_HEIGHT, element.scrollTop, element.clientHeight);
    if (top !== null) moveTo(top);
  });

  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const observer = new ResizeObserver(() => setView({ top: element.scrollTop, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => setFollow(source.running), [source.issue, source.attempt]);
  useLayoutEffect(() => {
    const element = box.current as HTMLDivElement;
    if (follow) moveTo(element.scrollHeight - element.clientHeight);
  }, [follow, version]);
  useKeys({
    '/': () => field.current?.focus(),
    f: () => setFollow(!follow),
  });

  const onScroll = () => {
    // It is told of a scroll also when the page has been left meanwhile.
    if (box.current === null) return;
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    setView({ top: scrollTop, height: clientHeight });
    const atEnd = scrollHeight - clientHeight - scrollTop < NEAR;
    if (!ours.current && source.running) setFollow(atEnd);
    ours.current = false;
  };
  const { first, end } = windowOf(store.length, LINE_HEIGHT, view.top, view.height);
  const lines = Array.from({ length: Math.max(0, end - first) }, (_, n) => first + n);
  const shown = search.found[search.at];
  return (
    <section class="card output" aria-label={`Output of attempt ${source.attempt}`}>
      <header class="card-head output-head">
        <h2>
          Output <span class="muted num">{state === 'ready' ? `${count(store.length)} lines` : ''}</span>
        </h2>
        <div class="tools">
          <Finder search={search} field={field} />
          {source.running && (
            <button type="button" class="button small" aria-pressed={follow} onClick={() => setFollow(!follow)}>
              Follow
            </button>
          )}
          <a
            class="button small quiet"
            href={`api/issues/${source.issue}/output?attempt=${source.attempt}`}
            download={`issue-${source.issue}-attempt-${source.attempt}.log`}
            title="Download the output"
          >
            <Icon name="save" />
            <span class="unseen">Download the output</span>
          </a>
        </div>
      </header>
      {note && <p class="output-note muted">{note}</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and not all scroll with a mouse */}
      <div ref={box} class="output-box" onScroll={onScroll} tabIndex={0} role="log" aria-live="off" aria-label="Lines">
        <div class="output-space" style={{ height: `${store.length * LINE_HEIGHT}px` }}>
          <div class="output-lines" style={{ transform: `translateY(${first * LINE_HEIGHT}px)` }}>
            {lines.map((index) => (
              <LineView
                key={index + store.dropped}
                line={store.at(index)}
                number={index + store.dropped + 1}
                words={search.found.length > 0 ? search.words.trim() : ''}
                current={index === shown}
              />
            ))}
          </div>
        </div>
        {store.length === 0 && <p class="output-empty muted">{emptyText(state, problem, source.running)}</p>}
      </div>
    </section>
  );
}

function emptyText(state: string, problem: string | null, running: boolean): string {
  if (state === 'failed') return problem ?? 'The output could not be read.';
  if (state === 'loading') return 'Reading the output …';
  return running ? 'Nothing printed yet. What the command prints shows here as it comes.' : 'It has printed nothing.';
}

function Finder({ search, field }: { search: Search; field: { current: HTMLInputElement | null } }) {
  const { words, found, at } = search;
  return (
    // biome-ignore lint/a11y/useSemanticElements: <search> is younger than some browsers in use
    <div class="finder" role="search">
      <input
        ref={field}
        class="field small"
        type="search"
        placeholder="Search output"
        aria-label="Search the output"
        value={words}
        onInput={(event) => search.setWords(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter') return;
          event.preventDefault();
          search.step(event.shiftKey ? -1 : 1);
        }}
      />
      {words.trim() !== '' && (
        <>
          <span class="muted num finder-count" role="status">
            {found.length === 0 ? 'none' : `${count(at + 1)} of ${count(found.length)}`}
          </span>
          <button
            type="button"
            class="button small quiet square"
            onClick={() => search.step(-1)}
            aria-label="The one before"
          >
            <Icon name="up" />
          </button>
          <button
            type="button"
            class="button small quiet square"
            onClick={() => search.step(1)}
            aria-label="The next one"
          >
            <Icon name="down" />
          </button>
        </>
      )}
    </div>
  );
}
