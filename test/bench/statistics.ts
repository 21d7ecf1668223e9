/** The few numbers that a list of samples comes down to. */

/** @throws RangeError where there is nothing to take it of */
export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

/** @param share 0.95 for p95; between two samples it is interpolated */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new RangeError('no samples');
  const sorted = samples.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (above - below) * (place - Math.floor(place));
}

/** Of medians: that of single rounds would give the noise of both. */
export function ratio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours) / median(theirs);
}

/** Three digits that count, thousands with a k: `44.1 k`, `3.07 k`, `312`, `0.017`. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 999_500) return `${digits(value / 1e6)} M`;
  if (size >= 999.5) return `${digits(value / 1000)} k`;
  return digits(value);
}

function digits(exact: number): string {
  const value = Number(exact.toPrecision(3)); // 0.9996 is 1.00 then, not 1.000
  if (value === 0) return '0';
  const before = Math.floor(Math.log10(Math.abs(value))) + 1;
  return value.toFixed(Math.min(4, Math.max(0, 3 - before)));
}
