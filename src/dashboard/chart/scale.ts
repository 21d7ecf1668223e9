/** From numbers to pixels, with marks at numbers that people like. */

/** Up to five marks from 0 to at least `max`: 1, 2 or 5 times a power of ten, whole numbers where `whole`. */
export function marks(max: number, whole = false): number[] {
  const least = whole ? 1 : 0.001;
  const rough = Math.max(max, least) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max([1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) as number, whole ? 1 : 0);
  const count = Math.max(1, Math.ceil(max / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, n) => Number((n * step).toPrecision(6)));
}

const MINUTE = 60_000;
const STEPS = [5, 10, 15, 30, 60, 120, 180, 360, 720, 1440].map((minutes) => minutes * MINUTE);

/** Times for an axis: round ones by the reader's clock, at most `most`. */
export function timeMarks(from: number, to: number, most: number, offsetMinutes: number): number[] {
  const step = STEPS.find((each) => (to - from) / each <= most) ?? (STEPS.at(-1) as number);
  // Hours begin at full hours of the zone, not of Greenwich.
  const shift = offsetMinutes * MINUTE;
  const first = Math.ceil((from - shift) / step) * step + shift;
  const found: number[] = [];
  for (let at = first; at <= to; at += step) found.push(at);
  return found;
}

/** Milliseconds of an axis: marks that are round in the unit they are told in. */
export function durationMarks(maxMs: number): number[] {
  const unit = maxMs < 1000 ? 1 : maxMs < 60_000 ? 1000 : maxMs < 3_600_000 ? 60_000 : 3_600_000;
  return marks(maxMs / unit).map((n) => n * unit);
}
