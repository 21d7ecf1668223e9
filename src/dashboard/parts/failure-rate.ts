import type { Stats } from '../api/types.js';
import { share } from '../text/format.js';

/** Of the issues that came to an end in the last hour, those that failed. */
export function failureRate({ completed_last_hour: good, failed_last_hour: bad }: Stats): string {
  return good + bad === 0 ? '–' : share(bad, good + bad);
}
