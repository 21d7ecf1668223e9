/** Whether a systemd can be booted here. */
import { execFileSync } from 'node:child_process';

/** Why no systemd can be booted on this machine, for people; null where it can. */
export function reasonNotToBoot(): string | null {
  if (process.platform !== 'linux') return `this is ${process.platform}, and systemd is for Linux`;
  if (process.getuid?.() !== 0) return 'that needs root';
  for (const [program, from] of [
    ['systemd-nspawn', 'systemd-container'],
    ['nsenter', 'util-linux'],
    ['sudo', 'sudo'],
  ] as const) {
    if (!works('sh', ['-c', `command -v ${program}`])) return `${program} is not installed (Debian: ${from})`;
  }
  // A container without privileges.
  if (!works('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run'])) return 'mounting is not allowed here';
  // The guest's user has to find the same Node; one below /root is for root alone.
  if (!works('setpriv', ['--reuid=65534', '--clear-groups', process.execPath, '--version']))
    return `${process.execPath} cannot be run by other users`;
  return null;
}

function works(file: string, args: readonly string[]): boolean {
  try {
    execFileSync(file, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
