import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { until } from '../../support/until.js';
import { hasChromium } from './chromium.js';
import { useStage } from './stage.js';

const row = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text });

describe.skipIf(!hasChromium)('the page of issues', () => {
  const stage = useStage();

  test('adds an issue with what was filled in, by keyboard alone', async () => {
    const page = await stage.open('/issues');
    await page.getByRole('button', { name: 'Add issue' }).waitFor();
    await page.keyboard.press('n');
    await page.keyboard.type('Fix the door\nand oil it');
    await page.getByText('More: worker').click();
    await page.getByLabel('Priority').fill('7');
    await page.getByLabel('Worker', { exact: true }).nth(1).fill('joiner-1');
    await page.getByLabel('Timeout, minutes').fill('2.5');
    await page.getByRole('textbox', { name: 'Description', exact: true }).press('Control+Enter');
    await row(page, 'Fix the door').waitFor();
    const [issue] = await stage.database.sql`select * from cape_issues order by id desc limit 1`;
    expect(issue).toMatchObject({
      ...{ description: 'Fix the door\nand oil it', priority: 7, assigned_worker_id: 'joiner-1', timeout_seconds: 150 },
      max_attempts: null,
    });
    await page.getByText(`Issue ${issue?.id} is queued.`).waitFor();
  });

  test('says what is wrong with an issue, and keeps what was typed', async () => {
    const page = await stage.open('/issues');
    await page.getByRole('button', { name: 'Add issue' }).click();
    await page.getByRole('textbox', { name: 'Description', exact: true }).fill('Something');
    await page.getByText('More: worker').click();
    await page.getByLabel('Priority').fill('99999');
    await page.getByRole('dialog').getByRole('button', { name: 'Add issue' }).click();
    await page.getByRole('alert').filter({ hasText: 'priority' }).waitFor();
    expect(await page.getByRole('textbox', { name: 'Description', exact: true }).inputValue()).toBe('Something');
  });

  test('shows what another program inserts, without being asked', async () => {
    const page = await stage.open('/issues');
    await page.getByRole('button', { name: 'Add issue' }).waitFor();
    await stage.database.sql`insert into cape_issues (description) values ('inserted by psql')`;
    await row(page, 'inserted by psql').waitFor();
  });

  test('is narrowed by status, worker and text, all in the address', async () => {
    const [apple, pear] = (await stage.add('an apple', 'a pear', 'a second apple')) as [number, number, number];
    await stage.api(`/api/issues/${pear}/cancel`, {});
    await stage.api(`/api/issues/${apple}/assign`, { worker: 'grocer-1' });
    const page = await stage.open('/issues');
    await row(page, 'a pear').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('APPLE');
    await until(async () => (await row(page, 'a pear').count()) === 0);
    await until(async () => (await row(page, 'apple').count()) === 2);
    await page.getByRole('button', { name: /^cancelled/ }).click();
    await page.getByText('No issue fits this filter.').waitFor();
    await page.getByRole('button', { name: 'Clear' }).click();
    await row(page, 'a pear').waitFor();
    const again = await stage.open('/issues?worker=grocer-1&status=pending,started');
    await row(again, 'an apple').waitFor();
    expect(await again.getByRole('row').count()).toBe(2); // with the head
  });

  test('cancels and retries many at once, by mouse and by key', async () => {
    await stage.add('bulk one', 'bulk two', 'bulk three');
    const statuses = async () =>
      (await stage.database.sql`select status from cape_issues where description like 'bulk%' order by id`)
        .map(({ status }) => status)
        .join();
    const page = await stage.open('/issues?search=bulk');
    await row(page, 'bulk one').getByRole('checkbox').check();
    await row(page, 'bulk three').getByRole('checkbox').check();
    await page.getByText('2 selected').waitFor();
    await page.getByLabel('Selected issues').getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Cancel 2 issues' }).click();
    await until(async () => (await statuses()) === 'cancelled,pending,cancelled');
    await row(page, 'bulk one').getByText('cancelled').waitFor();
    await page.keyboard.press('r');
    await until(async () => (await statuses()) === 'pending,pending,pending');
    await page.keyboard.press('Escape');
    await until(async () => (await page.getByText('2 selected').count()) === 0);
  });

  test('is walked with j and k, and Enter opens', async () => {
    const [first] = (await stage.add('walk one', 'walk two')) as [number, number];
    const page = await stage.open('/issues?search=walk');
    await row(page, 'walk one').waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('c');
    await page.getByRole('dialog').getByText(`Cancel issue ${first}?`).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'walk one' }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('Next and previous row').waitFor();
  });

  test('reads on while it is scrolled: a thousand rows, and none twice', async () => {
    await stage.add(...Array.from({ length: 1000 }, (_, n) => `many ${n} ${'of a long text '.repeat(10)}`));
    const page = await stage.open('/issues?search=many');
    await row(page, 'many 999').waitFor();
    const rows = page.locator('tbody tr');
    await until(
      async () => {
        await page.mouse.wheel(0, 20_000);
        const count = await rows.count();
        if (count >= 1000) return true;
        throw new Error(`${count} rows, "${await page.locator('.list-foot, .notice').allTextContents()}"`);
      },
      { timeoutMs: 120_000, what: 'a thousand rows' },
    );
    const ids = await rows.evaluateAll((all) => all.map((each) => Number((each as HTMLElement).dataset.id)));
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort((a, b) => b - a)).toEqual(ids);
    // A change above all of them is taken without a jump of the page and without a long task.
    const top = await page.evaluate(() => window.scrollY);
    await stage.add('many more at the top');
    await until(async () => (await row(page, 'many more at the top').count()) === 1);
    expect(await page.evaluate(() => window.scrollY)).toBeGreaterThan(top - 100);
  });

  test('offers nothing that a token may not do', async () => {
    await stage.add('only to be looked at');
    const page = await stage.open('/issues', { role: 'read' });
    await row(page, 'only to be looked at').waitFor();
    expect(await page.getByText('read only').count()).toBe(1);
    expect(await page.getByRole('button', { name: 'Add issue' }).count()).toBe(0);
    expect(await page.getByRole('checkbox').count()).toBe(0);
    await page.keyboard.press('n');
    expect(await page.getByRole('dialog').count()).toBe(0);
  });
});
