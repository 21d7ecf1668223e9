/** What a reader has to know of the machine before believing a number. */
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { median, short } from './statistics.js';

const SYNCS = 50;
const PAGE = 8192;

/** Label and value, in the order of the report. */
export type Facts = readonly (readonly [string, string])[];

export function factsOf(folder: string, postgres: string, peers: readonly string[], node24: string | null): Facts {
  return [
    ['When', `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`],
    ['Processors', `${availableParallelism()} of ${cpus()[0]?.model.trim() || process.arch}`],
    ['Memory', `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ['System', `${systemName()}${platform()} ${release()}`],
    ['A page of 8 KiB to disk', `${short(syncMs(folder))} ms (write and fdatasync, median of ${SYNCS})`],
    ['Postgres', `${postgres}, its defaults: fsync, synchronous_commit and full_page_writes on`],
    ['Node', `${process.versions.node}${node24 ? `, and ${node24} where it says Node 24` : ''}`],
    ['cape-worker', ownVersion()],
    ['Peers', peers.join(', ')],
    ['Load before', loadText()],
  ];
}

/** The load average of the last minute. */
export function loadText(): string {
  return loadavg()[0]!.toFixed(2);
}

function syncMs(folder: string): number {
  const file = openSync(join(folder, 'page'), 'w');
  try {
    const page = Buffer.alloc(PAGE, 1);
    return median(Array.from({ length: SYNCS }, () => syncOnce(file, page)));
  } finally {
    closeSync(file);
  }
}

function syncOnce(file: number, page: Buffer): number {
  const from = performance.now();
  writeSync(file, page);
  fdatasyncSync(file);
  return performance.now() - from;
}

function systemName(): string {
  try {
    const name = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
    return name === undefined ? '' : `${name}, `;
  } catch {
    return '';
  }
}

function ownVersion(): string {
  const path = join(import.meta.dirname, '..', '..', 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
