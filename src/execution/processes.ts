/**
 * Processes, seen from outside: who is it, is it still alive, what lives in its group.
 * A pid alone names nobody, since numbers are used again: a process is its pid and its start time.
 * Zombies count as dead: under a PID 1 that reaps late (or never) they would hold a group for ever.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import type { ProcessIdentity } from './spec.js';

/** One process as the kernel shows it. */
export interface ProcessState {
  readonly pid: number;
  readonly zombie: boolean;
  readonly group: number;
  readonly start: string;
}

/** Linux tells by /proc; elsewhere (macOS) we ask `ps`. */
export const hasProc = existsSync('/proc/self/stat');

/** The state of a process, or null where there is none (or it is hidden from us). */
export function stateOf(pid: number): ProcessState | null {
  if (!hasProc) return psStates(['-p', String(pid)])[0] ?? null;
  try {
    return parseStat(pid, readStat(pid));
  } catch {
    return null;
  }
}

/** Every pid in /proc, as text. */
export function procPids(): string[] {
  // Only pids begin with a digit there.
  return readdirSync('/proc').filter((name) => name.charCodeAt(0) <= 57);
}

/** The identity of a living process, or null. */
export function identify(pid: number): ProcessIdentity | null {
  const state = stateOf(pid);
  return state && !state.zombie ? { pid, start: state.start } : null;
}

/** True while that very process runs. Where we may not look (hidepid, another user) it counts as alive. */
export function isAlive(identity: ProcessIdentity): boolean {
  const state = stateOf(identity.pid);
  if (state) return !state.zombie && state.start === identity.start;
  return exists(identity.pid);
}

/** True while the group has a member that is not a zombie. */
export function groupAlive(group: number): boolean {
  return exists(-group) && livingGroups().has(group);
}

/** Every process group with a member that is not a zombie. One look at all processes: 2 ms with 300 of them. */
export function livingGroups(): Set<number> {
  return new Set(livingProcesses().map((state) => state.group));
}

/** The members of a process group, without zombies. */
export function membersOf(group: number): ProcessState[] {
  return livingProcesses().filter((state) => state.group === group);
}

function livingProcesses(): ProcessState[] {
  const states = hasProc ? procPids().map((pid) => stateOf(Number(pid))) : psStates(['-ax']);
  return states.filter((state) => state !== null && !state.zombie) as ProcessState[];
}

/** Sends a signal to a process, or to a group by its negative number. Gone already is fine; so is not ours to end. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // ESRCH: it ended first. EPERM: another user's, which the callers notice by its staying alive.
  }
}

/** Told apart over reboots: pids and start times begin again with each. */
export function bootId(): string {
  if (hasProc) return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return run('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid']).trim();
}

/** The pid namespace that our numbers belong to (containers have their own); empty where there are none. */
export function pidNamespace(): string {
  return hasProc ? readlinkSync('/proc/self/ns/pid') : '';
}

/** True where there is a process, or by its negative number a group, be it of zombies or of another user. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Longer than any: a name of 64 bytes and 50 numbers of up to 20 digits. */
const stat = Buffer.allocUnsafe(2048);

/** In three system calls; readFileSync makes five, and a buffer each time. */
function readStat(pid: number): string {
  const fd = openSync(`/proc/${pid}/stat`, 'r');
  try {
    return stat.toString('latin1', 0, readSync(fd, stat, 0, stat.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** `pid (comm) state ppid pgrp ...`: comm may hold spaces and brackets, so the fields are counted after the last one. */
function parseStat(pid: number, line: string): ProcessState {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const [state = 'X', , group = '0'] = fields;
  return { pid, zombie: state === 'Z' || state === 'X', group: Number(group), start: fields[19] ?? '' };
}

function psStates(which: string[]): ProcessState[] {
  const lines = run('/bin/ps', [...which, '-o', 'pid=,pgid=,stat=,lstart=']).split('\n');
  return lines.flatMap((line) => {
    const [pid, group, stat, ...start] = line.trim().split(/\s+/);
    if (!pid || !group || !stat) return [];
    return [{ pid: Number(pid), zombie: stat.startsWith('Z'), group: Number(group), start: start.join(' ') }];
  });
}

function run(file: string, args: string[]): string {
  // lstart is written in the language and zone of who asks: both are fixed, or one process would get two identities.
  return spawnSync(file, args, { encoding: 'utf8', env: { LC_ALL: 'C', TZ: 'UTC' } }).stdout ?? '';
}
