/** Directs a pending issue to one worker, or to any. */
import { useState } from 'preact/hooks';
import { assign } from '../actions.js';
import { ask } from '../api/request.js';
import type { IssueDetail, Worker } from '../api/types.js';
import { Dialog } from '../parts/dialog.js';
import { useLoaded } from '../state/load.js';

export interface AssignDialogProps {
  readonly issue: IssueDetail;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function AssignDialog({ issue, onClose, onDone }: AssignDialogProps) {
  const workers = useLoaded('workers', (signal) => ask<{ items: Worker[] }>('api/workers', signal), { every: 30_000 });
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const worker = String(new FormData(event.currentTarget as HTMLFormElement).get('worker') ?? '').trim();
    setBusy(true);
    const done = await assign(issue.id, worker === '' ? null : worker);
    setBusy(false);
    if (!done) return;
    onDone();
    onClose();
  };
  return (
    <Dialog title={`Assign issue ${issue.id}`} onClose={onClose}>
      <form onSubmit={submit} class="form">
        <label class="label" for="assign-worker">
          Worker
        </label>
        <input
          id="assign-worker"
          name="worker"
          class="field"
          list="assign-workers"
          autocomplete="off"
          defaultValue={issue.assigned_worker_id ?? ''}
          aria-describedby="assign-hint"
        />
        <datalist id="assign-workers">
          {(workers.data?.items ?? []).map(({ id }) => (
            <option key={id} value={id} />
          ))}
        </datalist>
        <p id="assign-hint" class="hint">
          Only this worker may take it, also on later tries. Empty: any may.
        </p>
        <div class="dialog-foot">
          <button type="button" class="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" class="button primary" disabled={busy}>
            Assign
          </button>
        </div>
      </form>
    </Dialog>
  );
}
