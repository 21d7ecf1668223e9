/** What an event's data says, in a line. */
import type { IssueEvent } from '../api/types.js';
import { plainText } from '../text/ansi.js';
import { duration } from '../text/format.js';

const LONGEST = 300;

export function eventWords({ kind, data, attempt, worker_id: worker }: IssueEvent): string {
  const words = plainText(saidBy(kind, data).replaceAll('\n', ' '));
  const where = attempt === null ? '' : `attempt ${attempt}${worker === null ? '' : ` on ${worker}`}`;
  return [where, words.length > LONGEST ? `${words.slice(0, LONGEST)}…` : words].filter(Boolean).join(': ');
}

function saidBy(kind: string, data: Readonly<Record<string, unknown>>): string {
  const text = (name: string) => (data[name] === null || data[name] === undefined ? '' : String(data[name]));
  if (kind === 'progress')
    return [text('percent') && `${text('percent')} %`, text('message')].filter(Boolean).join(' ');
  if (kind === 'log') return `${text('level')} ${text('message')}`.trim();
  if (kind === 'assigned') return text('worker') || 'any worker';
  if (kind === 'by_hand') return `${text('from')} to ${text('to')}`;
  if (kind === 'cancel_asked') return text('reason');
  if (kind === 'metadata') return JSON.stringify(data);
  if (kind === 'result') return text('result');
  const ended = [
    text('outcome').replaceAll('_', ' '),
    text('exit_code') && text('exit_code') !== '0' ? `exit code ${text('exit_code')}` : text('signal'),
    text('error'),
    typeof data.delay_ms === 'number' && data.delay_ms > 0 ? `again in ${duration(data.delay_ms)}` : '',
    kind === 'retry' ? `by a ${text('by')}` : '',
  ];
  return ended.filter(Boolean).join(', ');
}
