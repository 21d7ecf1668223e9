/** What V8 does about memory once the program has become quiet. */
import { setFlagsFromString } from 'node:v8';

/** By Node's major version. One that its V8 does not know would print two lines on standard error. */
const FLAGS: Readonly<Record<string, string>> = {
  20: '--memory-reducer-single-gc',
  22: '--memory-reducer-gc-count=1',
  24: '--memory-reducer-gc-count=1',
};

/** V8's option for one collection; undefined where it is not known what it is called. @param version as in process.version */
export function optionFor(version: string): string | undefined {
  return FLAGS[version.slice(1).split('.', 1)[0]!];
}

/**
 * One collection and not three (Node 20) or two. Whenever a program has become quiet, V8 collects all garbage so often,
 * half a second apart. In an idle worker the first brings the heap from 12.4 to 9.0 MB, the others to 8.9, each for some
 * 20 ms of processor: that was most of a worker's first idle minute. Without any (`--no-memory-reducer`) it keeps 5 MB
 * more. Only for a process of our own: in somebody's program flags are not ours to set.
 */
export function collectOnce(): void {
  const option = optionFor(process.version);
  if (option !== undefined) setFlagsFromString(option);
}
