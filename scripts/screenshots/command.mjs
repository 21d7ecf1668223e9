// The command of the run that is photographed: prints as a build does, in colours, tells its progress, and ends as the
// issue's text asks.
import { appendFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const [, , id, description = ''] = process.argv;
const attempt = Number(process.env.CAPE_ATTEMPT ?? 1);
const colour = (code, text) => `\x1b[${code}m${text}\x1b[0m`;
const PARTS = ['core', 'config', 'database', 'queue', 'worker', 'http', 'dashboard', 'docs'];
const CHECKS = ['types', 'lint', 'unit tests', 'integration tests'];

function tell(event) {
  if (process.env.CAPE_EVENTS_FILE) appendFileSync(process.env.CAPE_EVENTS_FILE, `${JSON.stringify(event)}\n`);
}

function progress(percent, message) {
  tell({ type: 'progress', percent, message });
}

console.log(colour(1, `issue ${id}, attempt ${attempt}: ${description.split('\n')[0]}`));
console.log(colour(90, `in ${process.cwd()}`));
if (/\[many lines\]/.test(description)) {
  for (let n = 1; n <= 100_000; n++) {
    if (n % 5000 === 0) await sleep(5);
    process.stdout.write(`line ${n} ${n % 10 === 0 ? colour(33, 'warning: every tenth line is yellow') : 'of many'}\n`);
  }
}
if (/\[stamps\]/.test(description)) {
  for (let n = 0; n < 200; n++) {
    await sleep(50 + Math.random() * 100);
    process.stdout.write(`stamp ${Date.now()}\n`);
  }
}
const pace = /\[slow\]/.test(description) ? 900 : 60;
let step = 0;
for (const part of PARTS) {
  progress(Math.round((100 * step++) / PARTS.length), `building ${part}`);
  console.log(`${colour(36, '>')} ${part}`);
  for (const check of CHECKS) {
    await sleep(pace);
    const files = 3 + ((part.length * check.length) % 40);
    console.log(`  ${colour(32, '✓')} ${check} ${colour(90, `${files} files, ${files * 7} ms`)}`);
  }
  if (part === 'queue') console.log(`  ${colour(33, 'warning')} claim.ts:41 this branch has no test`);
  if (part === 'worker' && (/\[fail\]/.test(description) || (/\[fail once\]/.test(description) && attempt === 1))) {
    console.log(`  ${colour('1;31', '✗ 2 tests failed')}`);
    console.log(colour(31, "    expected 'completed' to be 'failed'\n    at test/worker/settle.test.ts:88:14"));
    process.exit(1);
  }
}
progress(100, 'done');
const result = `Built ${PARTS.length} parts, ${PARTS.length * CHECKS.length} checks passed.`;
console.log(colour('1;32', result));
if (process.env.CAPE_RESULT_FILE) {
  writeFileSync(process.env.CAPE_RESULT_FILE, `${result}\nThe branch issue-${id} is ready for review.\n`);
}
