// How long a line takes from the command that prints it to the page that shows it: through the keeper, the worker, Postgres,
// the server and the browser, all on this machine. After `npm run build`, with Chromium as for screenshots.mjs:
//   node scripts/event-latency.mjs
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { openStage, until } from './screenshots/stage.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
if (!existsSync(executablePath))
  throw new Error(`event-latency: no Chromium at ${executablePath}; name it in CHROMIUM`);
const stage = await openStage();
try {
  const browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
  try {
    report(await measure(browser, stage));
  } finally {
    await browser.close();
  }
} finally {
  await stage.close();
}

/** @returns milliseconds, one for each line */
async function measure(browser, { url, token, api }) {
  const { ids } = await api('/api/issues', { description: 'Print what time it is\n\n[stamps]' });
  const page = await browser.newPage();
  await page.goto(url);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('Oldest pending').waitFor();
  await page.goto(`${url}/#/issues/${ids[0]}`);
  await page
    .getByText(/^stamp/)
    .first()
    .waitFor();
  await page.evaluate(watch);
  await until(async () => (await api(`/api/issues/${ids[0]}`)).status === 'completed');
  return page.evaluate('window.stamps');
}

/** In the page: notes when a line with a stamp is there, and how old it is. Both clocks are this machine's. */
function watch() {
  window.stamps = [];
  const seen = new Set(document.querySelector('.output-lines').textContent.match(/stamp \d+/g));
  const look = () => {
    for (const stamp of document.querySelector('.output-lines').textContent.match(/stamp \d+/g) ?? []) {
      if (seen.has(stamp)) continue;
      seen.add(stamp);
      window.stamps.push(Date.now() - Number(stamp.slice(6)));
    }
  };
  new MutationObserver(look).observe(document.querySelector('.output'), {
    childList: true,
    subtree: true,
    characterData: true,
  });
}

function report(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  console.log(
    `${sorted.length} lines, from the command to the page: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(1)} ms`,
  );
}
