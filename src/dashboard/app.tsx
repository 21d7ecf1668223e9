/** The frame around every page. */
import { useEffect, useRef } from 'preact/hooks';
import { AddDialog, openAddDialog } from './issues/add-dialog.js';
import { IssuePage } from './pages/issue.js';
import { IssuesPage } from './pages/issues.js';
import { LoginPage } from './pages/login.js';
import { OverviewPage } from './pages/overview.js';
import { WorkerPage } from './pages/worker.js';
import { WorkersPage } from './pages/workers.js';
import { Confirmation } from './parts/confirm.js';
import { Empty } from './parts/empty.js';
import { Help, helpOpen } from './parts/help.js';
import { Icon } from './parts/icon.js';
import { Toasts } from './parts/toasts.js';
import { useKeys } from './state/keys.js';
import { line, offline, tryNow } from './state/live.js';
import { go, route, to } from './state/route.js';
import { logOut, session } from './state/session.js';
import { nextTheme, theme } from './state/theme.js';

export function App() {
  const now = session.value;
  if (now.state === 'asking') return null;
  if (now.state === 'out') return <LoginPage />;
  if (now.state === 'unreachable') {
    return (
      <main class="login">
        <Empty title="The server is not there.">{now.message} This page tries again by itself.</Empty>
      </main>
    );
  }
  return <Frame role={now.me.role} version={now.me.version} />;
}

function Frame({ role, version }: { role: 'read' | 'write'; version: string }) {
  useKeys(
    {
      '?': () => {
        helpOpen.value = true;
      },
      '/': () => go(to('/issues', { find: '1' })),
      n: openAddDialog,
    },
    true,
  );
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: it leads to a place in this page, which the hash can't name */}
      <a class="skip" href="#main" onClick={skip}>
        To the content
      </a>
      <header class="top">
        <a class="brand" href={to('/')} title={`cape-worker ${version}`}>
          cape-worker
        </a>
        <Navigation />
        <span class="spring" />
        {role === 'read' && (
          <span class="chip" title="This token may look, and change nothing">
            read only
          </span>
        )}
        <LineState />
        <button
          type="button"
          class="button quiet square"
          onClick={nextTheme}
          aria-label={`Theme: ${theme.value}`}
          title={`Theme: ${theme.value}`}
        >
          <Icon name={theme.value} />
        </button>
        <button
          type="button"
          class="button quiet square"
          onClick={() => (helpOpen.value = true)}
          aria-label="Keys"
          title="Keys (?)"
        >
          ?
        </button>
        <button type="button" class="button quiet square" onClick={logOut} aria-label="Log out" title="Log out">
          <Icon name="out" />
        </button>
      </header>
      <Offline />
      <Page />
      <AddDialog />
      <Help />
      <Confirmation />
      <Toasts />
    </>
  );
}

/** A link to `#main` would be taken for a place in this page. */
function skip(event: Event): void {
  event.preventDefault();
  const main = document.querySelector<HTMLElement>('main');
  main?.setAttribute('tabindex', '-1');
  main?.focus();
}

const PLACES = [
  { path: '/', name: 'Overview', first: undefined },
  { path: '/issues', name: 'Issues', first: 'issues' },
  { path: '/workers', name: 'Workers', first: 'workers' },
] as const;

function Navigation() {
  const first = route.value.path[0];
  return (
    <nav aria-label="Pages" class="nav">
      {PLACES.map((place) => (
        <a key={place.path} href={to(place.path)} aria-current={first === place.first ? 'page' : undefined}>
          {place.name}
        </a>
      ))}
    </nav>
  );
}

function LineState() {
  const open = line.value === 'open';
  return (
    <span class={`line-state${open ? ' open' : ''}`} title={open ? 'What changes shows at once' : 'Connecting'}>
      <span class="line-dot" aria-hidden="true" />
      {open ? 'live' : '…'}
    </span>
  );
}

function Offline() {
  return (
    <div role="status" aria-live="polite">
      {offline.value && (
        <div class="banner">
          <span>The line to the server is broken. What you see may be old; it catches up by itself.</span>
          <button type="button" class="button small" onClick={tryNow}>
            Try now
          </button>
        </div>
      )}
    </div>
  );
}

function Page() {
  const { path } = route.value;
  const [first, second] = path;
  const place = path.join('/');
  const last = useRef(place);
  useEffect(() => {
    document.title = [titleOf(first, second), 'cape-worker'].filter(Boolean).join(' · ');
    if (last.current !== place) window.scrollTo(0, 0);
    last.current = place;
  }, [place]);
  if (first === undefined) return <OverviewPage />;
  if (first === 'issues' && second === undefined) return <IssuesPage />;
  if (first === 'issues' && /^\d{1,10}$/.test(second ?? '')) return <IssuePage key={place} id={Number(second)} />;
  if (first === 'workers' && second === undefined) return <WorkersPage />;
  if (first === 'workers' && second !== undefined) return <WorkerPage key={place} id={second} />;
  return (
    <main class="page">
      <Empty title="There is no such page.">
        <a href={to('/')}>To the overview</a>
      </Empty>
    </main>
  );
}

function titleOf(first: string | undefined, second: string | undefined): string {
  if (first === 'issues') return second ? `Issue ${second}` : 'Issues';
  if (first === 'workers') return second ?? 'Workers';
  return 'Overview';
}
