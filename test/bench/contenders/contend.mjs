// What all contenders share: the job as the only argument, a start on demand, and numbers as the last line.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** @param work gets the job and `ready`, which resolves when the clock may start; gives an object of numbers */
export async function contend(work) {
  let before = 0;
  const ready = async () => {
    process.stdout.write('ready\n');
    const input = createInterface({ input: process.stdin });
    await new Promise((begin) => input.once('line', begin));
    input.close();
    process.stdin.unref();
    before = cpuSeconds();
  };
  try {
    const said = await work(JSON.parse(process.argv[2]), ready);
    leave(0, process.stdout, { ...said, cpuSeconds: cpuSeconds() - before });
  } catch (error) {
    leave(1, process.stderr, error?.stack ?? String(error));
  }
}

/** Not by letting the loop run dry: a peer's timers would keep it alive. */
function leave(code, stream, what) {
  stream.write(typeof what === 'string' ? `${what}\n` : `${JSON.stringify(what)}\n`, () => process.exit(code));
}

/** Of this process, and of its children that have ended. */
function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 + childSeconds();
}

function childSeconds() {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[13]) + Number(fields[14])) / 100;
  } catch {
    return 0; // no /proc
  }
}

/**
 * The clock of a drain: from the first task's start until everything is written, which is asked for only once all tasks
 * have been called, and of all contenders by the same client.
 */
export function drainClock(total, sql, isEmpty) {
  let calls = 0;
  let began = 0;
  let called;
  const all = new Promise((resolve) => {
    called = resolve;
  });
  return {
    /** To be called by each task. */
    tick(count = 1) {
      if (calls === 0) began = performance.now();
      calls += count;
      if (calls >= total) called();
    },
    /** @returns seconds */
    async seconds() {
      await all;
      while (!(await sql.unsafe(isEmpty))[0].empty) await new Promise((again) => setTimeout(again, 2));
      if (calls !== total) throw new Error(`${calls} calls for ${total} issues`);
      return (performance.now() - began) / 1000;
    },
  };
}
