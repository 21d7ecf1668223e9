/** A `systemd-notify` and a `systemctl` that write down how they are called, in a folder to put on PATH. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from './worker.js';

const NOTIFY = `#!/bin/sh
cd "$(dirname "$0")/.." || exit 1
printf '%s\\n' "begin $NOTIFY_SOCKET" "$@" >> calls
while [ -e hold ]; do sleep 0.02; done
echo end >> calls
if [ -e refuse ]; then echo 'Failed to notify init system: refused' >&2; exit 1; fi
`;
const SYSTEMCTL = `#!/bin/sh
cd "$(dirname "$0")/.." || exit 1
echo "$*" >> asked
case "$*" in --user*) cat user ;; *) cat host ;; esac
`;

export interface FakeSystemd {
  /** To go first in PATH. */
  readonly bin: string;
  /** What was said, a call each, its assignments by name. Calls that overlap are an error. */
  calls(): Record<string, string>[];
  /** How `systemctl` was called. */
  asked(): string[];
  /** Makes calls of systemd-notify hang (or fail) until it is taken back. */
  set(what: 'hold' | 'refuse', on: boolean): void;
  /** What `systemctl is-system-running` says; default "running". */
  answer(scope: 'host' | 'user', word: string): void;
}

export function fakeSystemd(): FakeSystemd {
  const dir = tempFolder('cape systemd ');
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  for (const [name, text] of [
    ['systemd-notify', NOTIFY],
    ['systemctl', SYSTEMCTL],
  ] as const) {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  }
  const read = (name: string) => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8') : '');
  const answer = (scope: 'host' | 'user', word: string) => writeFileSync(join(dir, scope), `${word}\n`);
  answer('host', 'running');
  answer('user', 'running');
  return {
    bin,
    calls: () => parse(read('calls')),
    asked: () => read('asked').split('\n').filter(Boolean),
    set: (what, on) => (on ? writeFileSync(join(dir, what), '') : rmSync(join(dir, what), { force: true })),
    answer,
  };
}

function parse(text: string): Record<string, string>[] {
  const calls: Record<string, string>[] = [];
  let open: Record<string, string> | null = null;
  for (const line of text.split('\n').filter(Boolean)) {
    const [, socket] = /^begin (.*)$/.exec(line) ?? [];
    if (socket !== undefined) {
      if (open) throw new Error(`two calls at once: ${text}`);
      open = { socket };
      calls.push(open);
    } else if (line === 'end') open = null;
    else {
      const at = line.indexOf('=');
      if (!open) throw new Error(`two calls at once: ${text}`);
      open[line.slice(0, at)] = line.slice(at + 1);
    }
  }
  return calls;
}
