import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { until } from '../../support/until.js';
import { hasChromium } from './chromium.js';
import { useStage } from './stage.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly target: unknown; readonly failureSummary: string }[];
}

/** What axe calls serious or critical. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const all = await page.evaluate(
    async () =>
      (await (window as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } }).axe.run()).violations,
  );
  return all
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${String(node.target)} ${node.failureSummary}`));
}

/** Pixels by which the page is wider than its window. */
const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

describe.skipIf(!hasChromium)('every page', () => {
  const stage = useStage();
  const LONG = `a-word-without-an-end-${'x'.repeat(240)}`;

  async function fill(): Promise<{ failed: number; running: number }> {
    await stage.worker('all-1', 'case "$2" in *fail*) echo broken; exit 1 ;; *wait*) sleep 600 ;; esac', [
      ...['--max-attempts', '1', '--concurrency', '3'],
    ]);
    const [failed, running] = await stage.add(`fail ${LONG}`, `wait ${LONG}`, 'done', `done ${LONG}`);
    const { ids } = await stage.api<{ ids: number[] }>('/api/issues', { description: LONG, worker: 'nobody-1' });
    await stage.api(`/api/issues/${ids[0]}/assign`, { worker: `nobody-${'y'.repeat(90)}` });
    const is = async (id: number | undefined, status: string) =>
      (await stage.api<{ status: string }>(`/api/issues/${id}`)).status === status;
    await until(async () => (await is(failed, 'failed')) && (await is(running, 'started')));
    return { failed: failed as number, running: running as number };
  }

  test('has no serious finding of axe in either theme, and no line is wider than a phone', async () => {
    const { failed, running } = await fill();
    const places: [string, string][] = [
      ['/', 'Oldest pending'],
      ['/issues', LONG],
      [`/issues/${failed}`, 'Attempts'],
      [`/issues/${running}`, 'Attempts'],
      ['/workers', 'all-1'],
      ['/workers/all-1', 'Runs now'],
      ['/workers/never-seen', 'This worker was never seen.'],
      ['/nowhere', 'There is no such page.'],
    ];
    const wrong: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await stage.open('/', { colorScheme });
      for (const [place, text] of places) {
        await page.goto(`${stage.url}/#${place}`);
        await page.getByText(text).first().waitFor();
        wrong.push(...(await findings(page)).map((each) => `${colorScheme} ${place}: ${each}`));
        await page.setViewportSize({ width: 360, height: 740 });
        // Drawings follow the width a frame later.
        await until(async () => (await overflow(page)) <= 0, { timeoutMs: 5000 }).catch(async () => {
          wrong.push(`${place}: ${await overflow(page)} pixels wider than a phone`);
        });
        await page.setViewportSize({ width: 1280, height: 800 });
      }
      await page.goto(`${stage.url}/#/issues`);
      await page.getByRole('checkbox').nth(1).check();
      for (const key of ['n', '?']) {
        await page.keyboard.press(key);
        await page.getByRole('dialog').waitFor();
        wrong.push(...(await findings(page)).map((each) => `${colorScheme} dialog ${key}: ${each}`));
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
      }
    }
    expect(wrong).toEqual([]);
  });

  test('of the overview tells how it is: counts, workers and what they run, what is stranded, what failed', async () => {
    const { failed, running } = await fill();
    const page = await stage.open('/');
    await page.getByRole('link', { name: /^Running/ }).waitFor();
    await page.getByRole('row').filter({ hasText: 'all-1' }).getByText(`#${running}`).waitFor();
    await page.getByText('which was never seen').waitFor();
    await page.getByRole('img', { name: /^Attempts ended.*Completed: [1-9]/ }).waitFor();
    await page.getByRole('img', { name: /^Wait and run time/ }).waitFor();
    await page.getByText(`#${failed}`).click();
    await page.locator('.issue-head').getByText('failed').waitFor();
    await page.goto(`${stage.url}/`);
    await page.getByRole('link', { name: /^Failed/ }).click();
    await until(async () => page.url().endsWith('#/issues?status=failed'));
  });

  test('of a worker shows what it runs, pauses it and lets it go on', async () => {
    const { running } = await fill();
    const page = await stage.open('/workers');
    await page.keyboard.press('j');
    await page.getByRole('link', { name: 'all-1' }).click();
    await page
      .getByRole('row')
      .filter({ hasText: String(running) })
      .waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.locator('.page-head').getByText('paused').waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.locator('.page-head').getByText('running').waitFor();
    const reader = await stage.open('/workers/all-1', { role: 'read' });
    await reader.getByText('Runs now').waitFor();
    expect(await reader.getByRole('button', { name: 'Pause' }).count()).toBe(0);
  });

  test('comes after the login: a wrong token is refused, a right one shows what was asked for', async () => {
    const page = await stage.open('/workers', { role: 'none' });
    await page.getByLabel('Token').fill('a token that nobody gave out');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('This is none of the tokens of this server.').waitFor();
    expect(await findings(page)).toEqual([]);
    await page.getByLabel('Token').fill('write-token-of-this-test');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Workers' }).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('Token').waitFor();
    await page.reload();
    await page.getByLabel('Token').waitFor();
  });

  test('is light or dark as the system is, or as the reader says, and remembers it', async () => {
    const page = await stage.open('/', { colorScheme: 'dark' });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.getByRole('button', { name: 'Theme: system' }).waitFor();
    const dark = await ground();
    await page.getByRole('button', { name: 'Theme: system' }).click();
    await page.getByRole('button', { name: 'Theme: light' }).waitFor();
    const light = await ground();
    expect(light).not.toBe(dark);
    await page.reload();
    await page.getByRole('button', { name: 'Theme: light' }).click();
    expect(await ground()).toBe(dark);
  });

  test('says what to do where there is nothing yet', async () => {
    await stage.database.sql`truncate cape_issues, cape_leases, cape_attempts, cape_workers`;
    const page = await stage.open('/');
    await page.getByText('npx cape-worker run').first().waitFor();
    expect(await findings(page)).toEqual([]);
    await page.goto(`${stage.url}/#/issues`);
    await page.getByText('npx cape-worker issues add "Fix the login bug"').waitFor();
    await page.getByRole('button', { name: 'Add one here' }).click();
    await page.getByRole('dialog').waitFor();
  });
});
