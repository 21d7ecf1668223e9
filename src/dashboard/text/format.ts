/** Times, sizes and counts, in words that keep their width. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long: "320 ms", "4.2 s", "3 m 20 s", "2 h 5 m", "3 d 4 h". Never negative: clocks differ. */
export function duration(ms: number): string {
  const time = Math.max(0, ms);
  if (time < SECOND) return `${Math.round(time)} ms`;
  if (time < 10 * SECOND) return `${(Math.floor(time / 100) / 10).toFixed(1)} s`;
  if (time < MINUTE) return `${Math.floor(time / SECOND)} s`;
  if (time < HOUR) return two(time, MINUTE, 'm', SECOND, 's');
  if (time < DAY) return two(time, HOUR, 'h', MINUTE, 'm');
  return two(time, DAY, 'd', HOUR, 'h');
}

function two(time: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((time % large) / small);
  return `${Math.floor(time / large)} ${largeName}${rest === 0 ? '' : ` ${rest} ${smallName}`}`;
}

/** How long it has been going, by the second: what ticks must not jump between units of different width. */
export function elapsed(ms: number): string {
  const time = Math.max(0, ms);
  return time < MINUTE ? `${Math.floor(time / SECOND)} s` : duration(time);
}

/** "now", "12 s ago", "5 m ago", "3 h ago", "2 d ago"; or "in 5 m". One unit: it is a glance. */
export function ago(ms: number): string {
  const time = Math.abs(ms);
  if (time < 2 * SECOND) return 'now';
  const text = one(time);
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

function one(time: number): string {
  if (time < MINUTE) return `${Math.floor(time / SECOND)} s`;
  if (time < HOUR) return `${Math.floor(time / MINUTE)} m`;
  if (time < DAY) return `${Math.floor(time / HOUR)} h`;
  return `${Math.floor(time / DAY)} d`;
}

/** The reader's own zone and order, to the second. */
export function exact(iso: string): string {
  return new Date(iso).toLocaleString(undefined, {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
}

export function clock(ms: number, withSeconds = false): string {
  const seconds = withSeconds ? ({ second: '2-digit' } as const) : {};
  return new Date(ms).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', ...seconds, hour12: false });
}

/** "1,234,567". */
export function count(n: number): string {
  return n.toLocaleString('en-US');
}

/** Where there is little room: "1,234", "56.7k", "1.2M". */
export function short(n: number): string {
  if (n < 10_000) return count(n);
  if (n < 999_500) return `${(n / 1000).toFixed(n < 100_000 ? 1 : 0)}k`;
  return `${(n / 1_000_000).toFixed(n < 100_000_000 ? 1 : 0)}M`;
}

/** "512 B", "12.3 KiB", "4.5 MiB". */
export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(1)} KiB`;
  return `${(n / 1024 / 1024).toFixed(1)} MiB`;
}

/** A part of a whole: "0 %", "0.4 %", "12 %". */
export function share(part: number, whole: number): string {
  if (whole <= 0) return '0 %';
  const percent = (part / whole) * 100;
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** "1 issue", "2 issues". */
export function plural(n: number, word: string): string {
  return `${count(n)} ${word}${n === 1 ? '' : 's'}`;
}

/** The first line that is not empty, of a text that may be long. */
export function firstLine(text: string): string {
  return (
    text
      .slice(0, 2000)
      .split('\n')
      .find((line) => line.trim() !== '') ?? ''
  ).trim();
}
