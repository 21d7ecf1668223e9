/** What was done, said once, at the page's edge; read out by screen readers. */
import { signal } from '@preact/signals';
import { messageOf } from '../api/request.js';

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly bad: boolean;
  readonly link?: { readonly href: string; readonly text: string };
}

const SHOWN_MS = 5000;
const SHOWN_BAD_MS = 12_000;

export const toasts = signal<readonly Toast[]>([]);
let last = 0;

export function say(text: string, more: { bad?: boolean; link?: Toast['link'] } = {}): void {
  const { bad = false, link } = more;
  const toast: Toast = { id: ++last, text, bad, ...(link ? { link } : {}) };
  toasts.value = [...toasts.value.slice(-3), toast];
  setTimeout(() => dismiss(toast.id), bad ? SHOWN_BAD_MS : SHOWN_MS);
}

export function sayFailure(error: unknown): void {
  say(messageOf(error), { bad: true });
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}
