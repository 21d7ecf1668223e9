import { expect, test } from 'vitest';
import { hasChromium, launchChromium } from './chromium.js';

test('the browser of these tests is there and starts, or it is said what is left out', async () => {
  if (!hasChromium) return;
  const browser = await launchChromium();
  expect(browser.version()).toMatch(/^\d+\./);
  await browser.close();
});
