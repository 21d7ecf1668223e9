/** What `?` shows. The tables of docs/top.md say the same. */
type Keys = readonly (readonly [keys: string, what: string])[];

export const OVERVIEW_KEYS: Keys = [
  ['j k, arrows', 'move; page keys by ten, g and G to the ends'],
  ['enter', 'open the output of the chosen issue'],
  ['esc', 'end the filter'],
  ['r', 'run an ended issue again, or a waiting one now'],
  ['c', 'cancel an issue; asks first'],
  ['p', 'pause or resume the chosen worker; elsewhere all of them, which asks first'],
  ['/', 'filter issues: words, is:failed, on:worker, #7'],
  ['ctrl-l', 'draw the screen anew'],
  ['q, ctrl-c', 'quit'],
];

export const OUTPUT_KEYS: Keys = [
  ['f', 'follow what comes, or stay'],
  ['j k, space', 'scroll; g to the beginning of what is kept, G to the end'],
  ['[ ]', 'the attempt before, the one after'],
  ['r, c', 'retry or cancel this issue'],
  ['esc, q', 'back'],
];

export function helpOf(width: number): string[] {
  const column = width < 80 ? 12 : 16;
  const lines = (keys: Keys) => keys.map(([key, what]) => `  ${key.padEnd(column)} ${what}`);
  return ['cape-worker top', '', ...lines(OVERVIEW_KEYS), '', 'in an output', '', ...lines(OUTPUT_KEYS)];
}
