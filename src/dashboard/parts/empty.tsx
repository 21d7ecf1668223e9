/** Where there is nothing: what would change that, and the command to copy. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { sayFailure } from '../state/toast.js';
import { Icon } from './icon.js';

export function Empty({ title, children, command }: { title: string; children?: ComponentChildren; command?: string }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p class="muted">{children}</p>}
      {command && <Command text={command} />}
    </div>
  );
}

export function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      // Missing where the page came over plain HTTP from another host.
      if (!navigator.clipboard) throw new Error('This browser does not let the page copy; mark the text and copy it.');
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    } catch (error) {
      sayFailure(error);
    }
  };
  return (
    <div class="command">
      <code>{text}</code>
      <button type="button" class="button small quiet" onClick={copy} aria-label={`Copy: ${text}`}>
        <Icon name="copy" />
        <span aria-live="polite">{copied ? 'Copied' : 'Copy'}</span>
      </button>
    </div>
  );
}

export function Trouble({ message }: { message: string | null }) {
  return message === null ? null : (
    <p class="notice is-bad" role="status">
      {message}
    </p>
  );
}
