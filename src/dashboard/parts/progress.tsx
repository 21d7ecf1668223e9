import type { Progress as Value } from '../api/types.js';

/** How far it is, as the command has told; a moving bar where it has told no number. */
export function Progress({ value, label }: { value: Value; label: string }) {
  const { percent, message } = value;
  return (
    <div class="progress">
      <progress max={100} {...(percent === null ? {} : { value: percent })} aria-label={label} />
      <span class="num">{percent === null ? '' : `${Math.round(percent)} %`}</span>
      {message && <span class="progress-text">{message}</span>}
    </div>
  );
}
