/**
 * Lingering: a user's own systemd runs without a login, from boot on. Switched on for user services, with a marker, so
 * that the last of them switches off only what we switched on.
 */
import { existsSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../folders.js';
import type { Host } from './host.js';
import { placesOf } from './places.js';
import type { Account } from './spec.js';
import { runTool } from './tool.js';

const MARKER = 'linger';
const WHY = 'cape-worker switched lingering on for its user services; uninstalling the last of them switches it off.\n';

function markerOf(host: Host): string {
  return join(placesOf('user', host).stateDir, MARKER);
}

export async function isLingering({ name }: Account, host: Host): Promise<boolean> {
  const { stdout } = await runTool('loginctl', ['show-user', name, '-p', 'Linger', '--value'], {
    env: host.environment,
  });
  // It knows only who is logged in or lingers; the file is what switching on leaves.
  return stdout.trim() === 'yes' || existsSync(`${host.root}/var/lib/systemd/linger/${name}`);
}

/** @returns null where it is done, else why it could not be */
export async function switchLingerOn(account: Account, host: Host): Promise<string | null> {
  const { code, problem } = await runTool('loginctl', ['enable-linger', account.name], { env: host.environment });
  if (code !== 0) return problem;
  makeFolder(placesOf('user', host).stateDir, 0o700);
  writeFileSync(markerOf(host), WHY, { mode: 0o600 });
  await untilThere(`${host.root}/run/user/${account.uid}/systemd/private`);
  return null;
}

/** The user's systemd is started by it; its folder is there before the socket that it is spoken to by. */
async function untilThere(socket: string): Promise<void> {
  for (let tries = 0; tries < 100 && !existsSync(socket); tries++) await sleep(100);
}

export function weSwitchedLingerOn(host: Host): boolean {
  return existsSync(markerOf(host));
}

/** @returns null where it is done, else why it could not be */
export async function switchLingerOff(account: Account, host: Host): Promise<string | null> {
  const { code, problem } = await runTool('loginctl', ['disable-linger', account.name], { env: host.environment });
  if (code !== 0) return problem;
  rmSync(markerOf(host), { force: true });
  try {
    rmdirSync(placesOf('user', host).stateDir);
  } catch {
    // Logs of a worker may lie in it.
  }
  return null;
}
