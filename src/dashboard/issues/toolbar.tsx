/** What the list of issues is narrowed by. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { STATUSES, type Stats, type Status } from '../api/types.js';
import { Icon } from '../parts/icon.js';
import { useKeys } from '../state/keys.js';
import { mayWrite } from '../state/session.js';
import { short } from '../text/format.js';
import { openAddDialog } from './add-dialog.js';
import { type Filter, isEmpty } from './filter.js';

const TYPING_MS = 250;

export interface ToolbarProps {
  readonly filter: Filter;
  readonly onFilter: (filter: Filter) => void;
  readonly stats: Stats | null;
  readonly workers: readonly string[];
  /** The page was opened to search. */
  readonly focus: boolean;
}

export function Toolbar({ filter, onFilter, stats, workers, focus }: ToolbarProps) {
  const field = useRef<HTMLInputElement>(null);
  useKeys({ '/': () => field.current?.focus() });
  useEffect(() => {
    if (focus) field.current?.focus();
  }, []);
  const toggle = (status: Status) => {
    const on = filter.statuses.includes(status);
    const statuses = on ? filter.statuses.filter((each) => each !== status) : [...filter.statuses, status];
    onFilter({ ...filter, statuses });
  };
  return (
    <div class="toolbar">
      <SearchField field={field} value={filter.search} onValue={(search) => onFilter({ ...filter, search })} />
      <fieldset class="choice statuses">
        <legend class="unseen">Statuses</legend>
        {STATUSES.map((status) => (
          <button
            type="button"
            key={status}
            class={`button small status-${status}`}
            aria-pressed={filter.statuses.includes(status)}
            onClick={() => toggle(status)}
          >
            {status === 'started' ? 'running' : status}
            {stats && <span class="num muted">{short(stats[status])}</span>}
          </button>
        ))}
      </fieldset>
      <WorkerField value={filter.worker} workers={workers} onValue={(worker) => onFilter({ ...filter, worker })} />
      {!isEmpty(filter) && (
        <button
          type="button"
          class="button small quiet"
          onClick={() => onFilter({ statuses: [], worker: '', search: '' })}
        >
          <Icon name="close" /> Clear
        </button>
      )}
      <span class="spring" />
      {mayWrite.value && (
        <button type="button" class="button primary" onClick={openAddDialog}>
          <Icon name="plus" /> Add issue
        </button>
      )}
    </div>
  );
}

interface SearchFieldProps {
  readonly field: { current: HTMLInputElement | null };
  readonly value: string;
  readonly onValue: (value: string) => void;
}

/** Asks the server when the typing pauses. */
function SearchField({ field, value, onValue }: SearchFieldProps) {
  const [typed, setTyped] = useState(value);
  const latest = useRef(onValue);
  latest.current = onValue;
  // Changed from elsewhere, as by "Clear".
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed.trim() === value) return;
    const timer = setTimeout(() => latest.current(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <input
      ref={field}
      class="field search"
      type="search"
      placeholder="Search descriptions"
      aria-label="Search descriptions"
      aria-keyshortcuts="/"
      value={typed}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') latest.current(typed.trim());
      }}
    />
  );
}

interface WorkerFieldProps {
  readonly value: string;
  readonly workers: readonly string[];
  readonly onValue: (value: string) => void;
}

function WorkerField({ value, workers, onValue }: WorkerFieldProps) {
  // One that was never seen may have issues that wait for it.
  const all = value === '' || workers.includes(value) ? workers : [value, ...workers];
  return (
    <select
      class="field worker-field"
      aria-label="Worker"
      value={value}
      onChange={(event) => onValue(event.currentTarget.value)}
    >
      <option value="">Any worker</option>
      {all.map((id) => (
        <option key={id} value={id}>
          {id}
        </option>
      ))}
    </select>
  );
}
