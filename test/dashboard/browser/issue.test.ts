import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { until } from '../../support/until.js';
import { hasChromium } from './chromium.js';
import { useStage } from './stage.js';

/** Prints, waits for a file named go-<id>, and ends as the text asks. */
const SCRIPT = `
echo "begins with $2"
case "$2" in
  *colours*) printf '\\033[31mred\\033[0m \\033]0;a title\\007<b>bold</b> \\033[2J&amp;\\n' ;;
  *many*) awk 'BEGIN { for (n = 1; n <= 100000; n++) print "line " n " of many"; print "the needle" }' ;;
  *progress*) echo '::cape progress 40 building' ;;
esac
case "$2" in
  *wait*) while [ ! -e "go-$1" ]; do sleep 0.1; done; echo "goes on" ;;
  *fail*) echo "it broke" >&2; exit 3 ;;
esac
echo "the end of $1"
`;

const heading = (page: Page, text: string) => page.getByRole('heading', { name: text });
const output = (page: Page) => page.getByRole('log');
const drawn = (page: Page) => page.locator('.line').count();

describe.skipIf(!hasChromium)('the page of an issue', () => {
  const stage = useStage();

  test('shows output as it comes while a worker runs it, then how it ended', async () => {
    await stage.worker('live-1', SCRIPT);
    const page = await stage.open('/issues');
    await page.getByRole('button', { name: 'Add issue' }).click();
    await page.keyboard.type('wait for me');
    await page.getByRole('dialog').getByRole('button', { name: 'Add issue' }).click();
    await page.getByRole('link', { name: 'Open' }).click();
    await heading(page, 'wait for me').waitFor();
    await output(page).getByText('begins with wait for me').waitFor();
    await page.locator('.issue-head').getByText('running').waitFor();
    const id = Number(page.url().split('/').at(-1));
    // Released by a file that the command looks for, in the folder where workers run.
    await stage.touch(`go-${id}`);
    await output(page).getByText('goes on').waitFor();
    await output(page).getByText(`the end of ${id}`).waitFor();
    await page.locator('.issue-head').getByText('completed').waitFor();
    expect(await page.getByRole('button', { name: 'Cancel' }).isDisabled()).toBe(true);
  });

  test('cancels what runs after a question, and retries it', async () => {
    await stage.worker('live-2', SCRIPT);
    const [id] = await stage.add('wait to be cancelled');
    const page = await stage.open(`/issues/${id}`);
    await output(page).getByText('begins with').waitFor();
    await page.keyboard.press('c');
    await page.getByText('1 running command will be ended.').waitFor();
    await page.getByRole('button', { name: 'Cancel the issue' }).click();
    await page.locator('.issue-head').getByText('cancelled').waitFor();
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.locator('.issue-head').getByText('running').waitFor();
    await stage.touch(`go-${id}`);
    await page.locator('.issue-head').getByText('completed').waitFor();
    // Both attempts are there, and the output of each.
    await page.getByRole('button', { name: 'Show the output of attempt 1' }).click();
    await page.getByRole('region', { name: 'Output of attempt 1' }).getByText('begins with').waitFor();
    expect(await output(page).getByText('the end of').count()).toBe(0);
    expect(await page.locator('.timeline rect').count()).toBe(2);
  });

  test('shows what failed with its exit code, and its output after the fact', async () => {
    await stage.worker('live-3', SCRIPT, ['--max-attempts', '1']);
    const [id] = await stage.add('this must fail');
    const page = await stage.open(`/issues/${id}`);
    await page.locator('.issue-head').getByText('failed').waitFor();
    await page.getByRole('heading', { name: 'Error: exit code 3' }).waitFor();
    await page.reload();
    await output(page).getByText('it broke').waitFor();
    await page.getByText('Events', { exact: true }).click();
    await page.locator('.event-list').getByText('failed', { exact: true }).waitFor();
    await page.locator('.event-list').getByText('queued', { exact: true }).waitFor();
  });

  test('shows texts as texts: an issue named like a script, output with escapes and tags', async () => {
    await stage.worker('live-4', SCRIPT);
    const name = '<script>alert(1)</script> colours <img src=x onerror=alert(2)>';
    const [id] = await stage.add(name);
    const page = await stage.open(`/issues/${id}`);
    await heading(page, name).waitFor();
    const red = output(page).locator('.fg-1');
    await red.waitFor();
    expect(await red.textContent()).toBe('red');
    const line = await page.locator('.line-text', { hasText: '<b>bold' }).textContent();
    expect(line).toBe('red <b>bold</b> &amp;');
    expect(await page.locator('script:not([src]), main img, .output b').count()).toBe(0);
    await page.goto(`${stage.url}/#/issues`);
    await page.getByRole('link', { name }).waitFor();
  });

  test('shows progress as the command tells it', async () => {
    await stage.worker('live-5', SCRIPT);
    const [id] = await stage.add('progress and wait');
    const page = await stage.open(`/issues/${id}`);
    await page.getByRole('progressbar').waitFor();
    await page.getByText('building', { exact: true }).waitFor();
    expect(await page.getByRole('progressbar').getAttribute('value')).toBe('40');
    await stage.touch(`go-${id}`);
    await page.locator('.issue-head').getByText('completed').waitFor();
  });

  test('holds 100,000 lines without holding up the page, follows them, and finds a word in them', async () => {
    await stage.worker('live-6', SCRIPT);
    const [id] = await stage.add('many lines, and wait');
    const page = await stage.open(`/issues/${id}`);
    await page.getByText(/100,00\d lines/).waitFor();
    // It follows: the end is seen, and no more is drawn than can be seen.
    await output(page).getByText('the needle').waitFor();
    expect(await drawn(page)).toBeLessThan(150);
    const slowest = await page.evaluate(scrollThrough);
    expect(await drawn(page)).toBeLessThan(150);
    console.log(`scrolling through 100,000 lines: the slowest of 200 frames took ${Math.round(slowest)} ms`);
    expect(slowest).toBeLessThan(400);
    await page.keyboard.press('/');
    await page.keyboard.type('line 4711 of');
    await page.getByText('1 of 1').waitFor();
    await output(page).getByText('line 4711 of many').waitFor();
    await stage.touch(`go-${id}`);
    // The reader is elsewhere: what comes does not move the page.
    await page.locator('.issue-head').getByText('completed').waitFor();
    expect(await output(page).getByText('line 4711 of many').isVisible()).toBe(true);
  });

  test('goes on where it was after the server was started again, without a line twice or missing', async () => {
    await stage.worker('live-7', SCRIPT);
    const [id] = await stage.add('wait through a restart');
    const page = await stage.open(`/issues/${id}`);
    await output(page).getByText('begins with').waitFor();
    await stage.stopServer();
    await page.getByText('The line to the server is broken.').waitFor();
    await stage.touch(`go-${id}`);
    await until(async () => {
      const [row] = await stage.database.sql`select status from cape_issues where id = ${id as number}`;
      return row?.status === 'completed';
    });
    await stage.startServer();
    await page.getByText('The line to the server is broken.').waitFor({ state: 'detached' });
    await page.locator('.issue-head').getByText('completed').waitFor();
    await output(page).getByText(`the end of ${id}`).waitFor();
    const lines = await page.locator('.line-text').allTextContents();
    expect(lines).toEqual(['begins with wait through a restart', 'goes on', `the end of ${id}`]);
  });

  test('directs what is pending to a worker', async () => {
    const [id] = await stage.add('for one alone');
    const page = await stage.open(`/issues/${id}`);
    await page.getByText('Any worker with a free slot takes it.').waitFor();
    await page.getByRole('button', { name: 'Assign' }).click();
    await page.getByRole('combobox', { name: 'Worker' }).fill('no way');
    await page.getByRole('dialog').getByRole('button', { name: 'Assign' }).click();
    await page.locator('.toast.is-bad').waitFor();
    await page.getByRole('combobox', { name: 'Worker' }).fill('alone-1');
    await page.getByRole('dialog').getByRole('button', { name: 'Assign' }).click();
    await page.getByText('Only alone-1 may take it.').waitFor();
  });

  test('says so where there is no such issue', async () => {
    const page = await stage.open('/issues/2000000000');
    await page.getByText('There is no such issue.').waitFor();
  });
});

/** From the top to the end in 200 steps. @returns the longest time between two frames, ms */
async function scrollThrough(): Promise<number> {
  const box = document.querySelector('.output-box') as HTMLElement;
  const frame = () => new Promise<number>((done) => requestAnimationFrame(done));
  let slowest = 0;
  let last = await frame();
  for (let step = 0; step <= 200; step++) {
    box.scrollTop = ((box.scrollHeight - box.clientHeight) * step) / 200;
    const now = await frame();
    slowest = Math.max(slowest, now - last);
    last = now;
  }
  return slowest;
}
