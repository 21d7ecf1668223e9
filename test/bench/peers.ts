/** The peers, in a package of their own: installed by the first run, and again when their lock has changed. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const PACKAGE = import.meta.dirname;
const LOCK = join(PACKAGE, 'package-lock.json');
/** The lock that is installed: its time would tell nothing after a checkout. */
const INSTALLED = join(PACKAGE, 'node_modules', '.installed-lock.json');

/** @throws Error in words for people where they are missing and can't be had */
export function ensurePeers(say: (text: string) => void): void {
  if (existsSync(INSTALLED) && readFileSync(INSTALLED, 'utf8') === readFileSync(LOCK, 'utf8')) return;
  say('installing the peers (npm ci in test/bench, some 200 MB with another Node)');
  // A home that can't be written to, as that of nobody, leaves npm without a cache.
  const cache = mkdtempSync(join(tmpdir(), 'cape-bench-npm-'));
  try {
    // No scripts: none of the peers needs one.
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--cache', cache];
    const { status, stderr, error } = spawnSync('npm', args, { cwd: PACKAGE, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${missing()}\n${(error?.message ?? stderr).trim()}`);
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
  copyFileSync(LOCK, INSTALLED);
}

function missing(): string {
  const { dependencies } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const names = Object.values(dependencies).map((each) => each.replace('npm:', ''));
  return `the benchmarks need their peers (${names.join(', ')}) from the npm registry, and "npm ci" in test/bench failed:`;
}

/** Another Node than the one that runs this, or null where the registry has none for this platform. */
export function node24(): string | null {
  const path = join(PACKAGE, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  return existsSync(path) ? path : null;
}

/** `graphile-worker 0.17.3` and so on, as they are installed. */
export function peerVersions(): string[] {
  const { packages } = JSON.parse(readFileSync(LOCK, 'utf8')) as {
    packages: Record<string, { name?: string; version?: string }>;
  };
  return Object.values(packages).flatMap(({ name, version }) =>
    name && version && /^(graphile-worker|pg-boss)$/.test(name) ? [`${name} ${version}`] : [],
  );
}
