/** `j` and `k`: the focus itself goes from row to row, so that Enter opens, and screen readers follow. */

function rows(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>('main [data-row]')];
}

export function moveRow(by: 1 | -1): void {
  const all = rows();
  const at = all.findIndex((row) => row === document.activeElement || holds(row));
  const next = all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + by))];
  next?.focus();
  next?.closest('tr')?.scrollIntoView({ block: 'nearest' });
}

/** The issue of the row that has the focus. */
export function rowAtHand(): number | null {
  const id = document.activeElement?.closest<HTMLElement>('[data-id]')?.dataset.id;
  return id === undefined ? null : Number(id);
}

function holds(row: HTMLElement): boolean {
  return row.closest('tr')?.contains(document.activeElement) ?? false;
}
