// Writes the table of settings into README.md and docs/configuration.md, between their markers, from the built program:
// `npm run build && node scripts/settings-table.mjs`. test/docs.test.ts compares both with the source.
import { readFileSync, writeFileSync } from 'node:fs';
import { optionName, SETTINGS } from '../dist/config.js';

const PAGES = ['README.md', 'docs/configuration.md'];
const MARKED = /(<!-- settings -->\n)[\s\S]*?(<!-- \/settings -->)/;
const TITLES = {
  database: 'Database',
  worker: 'Worker',
  retry: 'Retry',
  logs: 'Logs',
  http: 'HTTP',
  client: 'HTTP client',
};
const HEAD = ['Option', 'Variable', 'Default', 'What it is'];

function optionCell(name, { secret, fallback }) {
  // Arguments can be read by every user of the machine, so a secret is a variable alone.
  if (secret) return '(variable only)';
  const option = `\`--${optionName(name)}\``;
  return fallback === 'true' ? `${option}, \`--no-${optionName(name)}\`` : option;
}

function row([name, setting]) {
  const fallback = setting.fallback ? `\`${setting.fallback}\`` : '(none)';
  return [optionCell(name, setting), `\`${setting.env}\``, fallback, setting.about];
}

function table(group) {
  const rows = [
    HEAD,
    ...Object.entries(SETTINGS)
      .filter(([, setting]) => setting.group === group)
      .map(row),
  ];
  // Aligned, since README is read in terminals too.
  const widths = HEAD.map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  const [head, ...body] = rows.map(line);
  return `**${TITLES[group]}**\n\n${[head, rule, ...body].join('\n')}\n`;
}

const tables = Object.keys(TITLES).map(table).join('\n');
for (const page of PAGES) {
  const url = new URL(`../${page}`, import.meta.url);
  const text = readFileSync(url, 'utf8');
  if (!MARKED.test(text)) throw new Error(`${page} has no <!-- settings --> ... <!-- /settings -->`);
  // A function: in a replacement text "$" would mean something.
  writeFileSync(
    url,
    text.replace(MARKED, (_, begin, end) => `${begin}\n${tables}\n${end}`),
  );
}
