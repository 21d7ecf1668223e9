/** A new issue. Only its description is needed. */
import { signal } from '@preact/signals';
import { useState } from 'preact/hooks';
import { sayAdded } from '../actions.js';
import { messageOf, tell } from '../api/request.js';
import type { NewIssue } from '../api/types.js';
import { Dialog } from '../parts/dialog.js';
import { mayWrite } from '../state/session.js';

const open = signal(false);

export function openAddDialog(): void {
  if (mayWrite.peek()) open.value = true;
}

export function AddDialog() {
  return open.value ? <AddForm onClose={() => (open.value = false)} /> : null;
}

function AddForm({ onClose }: { onClose: () => void }) {
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    setBusy(true);
    setProblem(null);
    try {
      const { ids } = await tell<{ ids: number[] }>('POST', 'api/issues', newIssueOf(new FormData(form)));
      sayAdded(ids[0] as number);
      onClose();
    } catch (error) {
      setProblem(messageOf(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Add an issue" onClose={onClose}>
      <form onSubmit={submit} class="form">
        <label class="label" for="add-description">
          Description
        </label>
        <textarea
          id="add-description"
          name="description"
          class="field"
          rows={5}
          required
          autofocus
          aria-describedby="add-hint"
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
          }}
        />
        <p id="add-hint" class="hint">
          The worker's command gets this text as it is. Ctrl+Enter adds it.
        </p>
        <details class="more">
          <summary>More: worker, priority, tries, time</summary>
          <div class="form-grid">
            <Input name="worker" label="Worker" hint="Only this one may run it" />
            <Input name="priority" label="Priority" hint="Higher runs first" type="number" />
            <Input name="max_attempts" label="Tries" hint="0 = no limit" type="number" min={0} />
            <Input name="timeout" label="Timeout, minutes" hint="For a run" type="number" min={0} step="any" />
            <Input name="delay" label="Delay, minutes" hint="Not before then" type="number" min={0} step="any" />
            <Input name="key" label="Key" hint="One unfinished issue has it" />
          </div>
        </details>
        <p class="problem" role="alert">
          {problem}
        </p>
        <div class="dialog-foot">
          <button type="button" class="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" class="button primary" disabled={busy}>
            Add issue
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface InputProps {
  readonly name: string;
  readonly label: string;
  readonly hint: string;
  readonly type?: 'text' | 'number';
  readonly min?: number;
  readonly step?: string;
}

function Input({ name, label, hint, type = 'text', min, step }: InputProps) {
  const id = `add-${name}`;
  return (
    <div>
      <label class="label" for={id}>
        {label}
      </label>
      <input
        id={id}
        name={name}
        class="field"
        autocomplete="off"
        aria-describedby={`${id}-hint`}
        {...(type === 'number' ? { type, min, step } : { type: 'text' as const })}
      />
      <p class="hint" id={`${id}-hint`}>
        {hint}
      </p>
    </div>
  );
}

/** What was left empty is left out: the defaults are the worker's. */
function newIssueOf(form: FormData): NewIssue {
  const text = (name: string) => String(form.get(name) ?? '').trim();
  const number = (name: string, factor = 1) => (text(name) === '' ? undefined : Number(text(name)) * factor);
  const given = {
    // Not trimmed: it reaches the command exactly as it is.
    description: String(form.get('description') ?? '').replaceAll('\r\n', '\n'),
    worker: text('worker') || undefined,
    priority: number('priority'),
    max_attempts: number('max_attempts'),
    timeout_seconds: number('timeout', 60),
    delay_ms: number('delay', 60_000),
    key: text('key') || undefined,
  };
  return JSON.parse(JSON.stringify(given)) as NewIssue;
}
