/** What a process holds and has used, from /proc: Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

const KIB_PER_MIB = 1024;
/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS = 100;

/** MiB in memory; null where the process is gone. `pss` counts what is shared with others in parts. */
export function memoryOf(pid) {
  const read = (file, name) => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1];
    return Number(kib) / KIB_PER_MIB;
  };
  try {
    return { rss: read('status', 'VmRSS'), pss: read('smaps_rollup', 'Pss') };
  } catch {
    return null;
  }
}

/** Seconds of all its threads, in user and system mode. */
export function cpuOf(pid) {
  const [, , , , , , , , , , , user, system] = afterName(pid);
  return (Number(user) + Number(system)) / TICKS;
}

/** The child of a worker that is Node as well. */
export function keeperOf(worker) {
  return childrenOf(worker).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('keeper.cjs')) ?? null;
}

function childrenOf(parent) {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 0 && Number(afterName(pid)[1]) === parent;
      } catch {
        return false; // it has just ended
      }
    });
}

/** The fields of `stat` behind the name, which may hold anything: state, parent, ... */
function afterName(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
