/** The keys, and where to read on. */
import { signal } from '@preact/signals';
import { Dialog } from './dialog.js';

export const helpOpen = signal(false);

const KEYS: readonly (readonly [string, string])[] = [
  ['/', 'Search: descriptions, or the output of the issue shown'],
  ['j  k', 'Next and previous row'],
  ['Enter', 'Open the row'],
  ['x', 'Select the row'],
  ['r', 'Retry: the selected issues, the row, or the issue shown'],
  ['c', 'Cancel, the same way; it asks first'],
  ['n', 'Add an issue'],
  ['f', 'Follow the output, or stop'],
  ['Esc', 'Clear the selection, close, or go back to the list'],
  ['?', 'This help'],
];

export function Help() {
  if (!helpOpen.value) return null;
  return (
    <Dialog title="Keys" onClose={() => (helpOpen.value = false)}>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split('  ').map((each) => (
                <kbd key={each}>{each}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
