/** What the documents, the dashboard and the alerts name is what `/metrics` gives, and the other way round. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { OUTCOMES } from '../src/core/outcome.js';
import { createMetrics, type MetricsSource } from '../src/http/metrics.js';
import { tempFolder } from './support/worker.js';

const path = (name: string) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
const read = (name: string) => readFileSync(path(name), 'utf8');

const stats = {
  ...{ pending: 0, parked: 0, started: 0, completed: 0, failed: 0, cancelled: 0, other: 0 },
  ...{ oldest_pending_seconds: null, completed_last_hour: 0, failed_last_hour: 0, stranded: [], estimated: [] },
};
const source: MetricsSource = { client: { stats: async () => stats, workers: async () => [] } };

/** Names of families, and of the series that a histogram has. */
async function known(): Promise<{ families: string[]; series: string[] }> {
  const text = await createMetrics().text(source);
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({ name: name!, type }));
  const series = types.flatMap(({ name, type }) =>
    type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
  return { families: types.map(({ name }) => name), series };
}

const namesIn = (text: string) => [...new Set(text.match(/\b(?:cape|process|nodejs)_[a-z_]+\b/g))];

test('every metric of ours is in the tables, with its labels, and no other', async () => {
  const { families } = await known();
  const rows = [...read('metrics.md').matchAll(/^\| `(cape_\w+)` +\| (.*?) *\|/gm)];
  expect(rows.map(([, name]) => name).sort()).toEqual(families.filter((name) => name.startsWith('cape_')).sort());
  const text = await createMetrics().text(source);
  for (const [, name, labels] of rows)
    for (const label of labels!.match(/\w+/g) ?? [])
      if (label !== 'worker') expect(text, name).toMatch(new RegExp(`^${name}\\{${label}=`, 'm'));
  for (const outcome of OUTCOMES) expect(read('metrics.md')).toContain(`\`${outcome}\``);
});

test('the dashboard can be imported, and asks for metrics that exist', async () => {
  const { series } = await known();
  const dashboard = JSON.parse(read('grafana/cape-worker.json')) as {
    title: string;
    uid: string;
    schemaVersion: number;
    panels: { id: number; title: string; gridPos: object; datasource: object; targets: { expr: string }[] }[];
  };
  expect(dashboard).toMatchObject({ title: 'cape-worker', uid: 'cape-worker', schemaVersion: expect.any(Number) });
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  const asked = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  expect(asked.length).toBeGreaterThan(dashboard.panels.length - 1);
  for (const name of namesIn(asked.join('\n'))) expect(series).toContain(name);
  expect(dashboard.panels.every(({ datasource }) => JSON.stringify(datasource).includes('{datasource}'))).toBe(true);
});

test('the alerts name metrics that exist, and each is explained', async () => {
  const { series } = await known();
  const { groups } = parse(read('alerts.yaml')) as { groups: { rules: { alert: string; expr: string }[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  for (const { alert, expr } of rules) {
    expect(namesIn(expr).length, alert).toBeGreaterThan(0);
    for (const name of namesIn(expr)) expect(series, alert).toContain(name);
    expect(read('metrics.md')).toContain(`\`${alert}\``);
  }
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

test.skipIf(!hasPromtool)('promtool accepts the alerts, and what the dashboard asks', () => {
  const { panels } = JSON.parse(read('grafana/cape-worker.json')) as { panels: { targets: { expr: string }[] }[] };
  const rules = panels
    .flatMap(({ targets }) => targets)
    .map(({ expr }, n) => ({ record: `asked:${n}`, expr: expr.replaceAll('$__rate_interval', '5m') }));
  const file = join(tempFolder(), 'asked.yaml');
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
  for (const checked of [path('alerts.yaml'), file]) expectRules(checked);
});

function expectRules(file: string): void {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
  expect(status, stdout + stderr).toBe(0);
}
