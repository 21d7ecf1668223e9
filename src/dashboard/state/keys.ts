/** Keys without a modifier, for whoever has no hand free for the mouse. Pages say which they serve. */
import { useEffect, useRef } from 'preact/hooks';

export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>;

const served: { current: Keys }[] = [];

/**
 * Serves keys while the component is on the page; the newest of those that serve a key gets it.
 * @param last only where nobody else serves them: effects of the frame run after those of the page in it
 */
export function useKeys(keys: Keys, last = false): void {
  const ref = useRef(keys);
  ref.current = keys;
  useEffect(() => {
    if (last) served.unshift(ref);
    else served.push(ref);
    return () => void served.splice(served.indexOf(ref), 1);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input:not([type=checkbox]), textarea, select') !== null;
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  // A dialog has the keyboard to itself; Escape is its own.
  if (document.querySelector('dialog[open]')) return;
  if (isTyping(event.target)) {
    if (event.key === 'Escape') (event.target as HTMLElement).blur();
    return;
  }
  for (let at = served.length - 1; at >= 0; at--) {
    const act = served[at]?.current[event.key];
    if (!act) continue;
    event.preventDefault();
    act(event);
    return;
  }
});
