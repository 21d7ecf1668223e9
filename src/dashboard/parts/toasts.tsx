import { dismiss, toasts } from '../state/toast.js';
import { Icon } from './icon.js';

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, bad, link }) => (
        <div key={id} class={`toast${bad ? ' is-bad' : ''}`}>
          <span>{text}</span>
          {link && <a href={link.href}>{link.text}</a>}
          <button type="button" class="button quiet square small" onClick={() => dismiss(id)} aria-label="Dismiss">
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
