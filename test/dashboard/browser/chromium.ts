/** The system's Chromium, without what it would load or tell by itself. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** False where there is none: what needs it is skipped, and says so. */
export const hasChromium = existsSync(executablePath);

if (!hasChromium) {
  console.log(`skipped: no Chromium at ${executablePath} (Debian: apt-get install chromium; elsewhere set CHROMIUM)`);
}

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  });
}
