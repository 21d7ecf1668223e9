// What the peers' tasks do: nothing, or a command as their users run one.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** @param command a path, or undefined @returns a task that calls `tick` first */
export function taskOf(command, tick) {
  if (command === undefined) return async () => tick();
  return async () => {
    tick();
    await exec(command);
  };
}

/** `work` for each of `items`, at most `slots` at a time. */
export async function limited(items, slots, work) {
  const rest = items.values();
  const one = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(slots, items.length) }, one));
}
