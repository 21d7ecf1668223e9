// Takes the pictures of docs/dashboard.md: every page, light and dark, from a run with a Postgres and workers of its own.
// After `npm run build`, with Chromium at /usr/bin/chromium (or where CHROMIUM says):
//   node scripts/screenshots.mjs [folder]
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { shrink } from './screenshots/shrink.mjs';
import { openStage, until } from './screenshots/stage.mjs';

const folder = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..', 'docs', 'images');
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];
const LOGIN = '<script>alert(1)</script> is shown as text: escape what the login page prints';

if (!existsSync(executablePath)) throw new Error(`screenshots: no Chromium at ${executablePath}; name it in CHROMIUM`);
mkdirSync(folder, { recursive: true });
const stage = await openStage();
try {
  const ids = await queueWork(stage);
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    for (const theme of ['light', 'dark']) await takeAll(browser, stage, ids, theme);
  } finally {
    await browser.close();
  }
} finally {
  await stage.close();
}

/** Issues of every kind; waits until they are where the pictures want them. */
async function queueWork({ api }) {
  const { ids } = await api('/api/issues', {
    issues: [
      {
        description: `Fix the login bug\n\n[fail] ${LOGIN}\n\nSteps:\n1. open /login?next=%3Cscript%3E\n2. look at the title`,
        max_attempts: 3,
      },
      { description: 'Speed up the nightly build\n\n[fail once]' },
      {
        description: 'Rewrite the importer for files of several gigabytes, with a progress bar and a resume\n\n[slow]',
      },
      { description: 'Move the users to the new table\n\n[slow]', priority: 5 },
      { description: 'Try the new model on the backlog\n\n[slow]' },
      { description: LOGIN },
      { description: 'Sort the icons by size', worker: 'build-9' },
      { description: 'Send the monthly report', delay_ms: 3_600_000 },
      { description: 'Paint the shed' },
    ],
  });
  await api('/api/issues/cancel', { ids: [ids[8]] });
  const is = (id, status) => until(async () => (await api(`/api/issues/${id}`)).status === status, 120_000);
  await is(ids[0], 'failed');
  await is(ids[1], 'completed');
  return { failed: ids[0] };
}

/** Work for the time that the pictures of a theme take. @returns an issue that has printed something */
async function keepBusy({ api }) {
  const { ids } = await api('/api/issues', {
    issues: [
      { description: 'Write the migration guide\n\n[slow]' },
      { description: 'Check every link of the docs\n\n[slow]' },
      { description: 'Compress the images\n\n[slow]' },
      { description: 'Review the error texts' },
      { description: 'Remove the old settings' },
    ],
  });
  await until(async () => ((await api(`/api/issues/${ids[0]}`)).progress?.percent ?? 0) > 0, 120_000);
  return ids[0];
}

async function takeAll(browser, stage, ids, theme) {
  const { url, token } = stage;
  const running = await keepBusy(stage);
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: theme,
    locale: 'en-GB',
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error(`${page.url()}: ${error}`));
  page.on('console', (message) => message.type() === 'error' && console.error(`${page.url()}: ${message.text()}`));
  const take = async (name, options = {}) => {
    await page.mouse.move(0, 0);
    await page.waitForTimeout(700); // charts and lists are drawn
    writeFileSync(join(folder, `${name}-${theme}.png`), shrink(await page.screenshot(options)));
    console.log(`${name}-${theme}.png`);
  };
  await page.goto(url);
  await page.getByLabel('Token').waitFor();
  await take('login');
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('Oldest pending').waitFor();
  await take('overview', { fullPage: true });
  await page.goto(`${url}/#/issues`);
  await page.getByText('Paint the shed').waitFor();
  await take('issues');
  await page.keyboard.press('n');
  await page.getByRole('textbox', { name: 'Description', exact: true }).fill('Fix the login bug');
  await take('add');
  await page.keyboard.press('Escape');
  await page.goto(`${url}/#/issues/${running}`);
  await page.getByRole('log').waitFor();
  await take('issue-running', { fullPage: true });
  await page.goto(`${url}/#/issues/${ids.failed}`);
  await page.getByRole('log').waitFor();
  await take('issue-failed', { fullPage: true });
  await page.goto(`${url}/#/workers/build-2`);
  await page.getByText('Runs now').waitFor();
  await take('worker', { fullPage: true });
  if (theme === 'light') await takePhone(page, url, ids, take);
  await context.close();
}

async function takePhone(page, url, ids, take) {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${url}/#/issues`);
  await take('phone-issues');
  await page.goto(`${url}/#/issues/${ids.failed}`);
  await take('phone-issue', { fullPage: true });
  await page.goto(`${url}/#/`);
  await take('phone-overview', { fullPage: true });
}
