/** Goals, judged by the medians of one run. */
import type { Figure, GoalResult } from './line.js';
import { median, ratio, short } from './statistics.js';

/** @throws Error for a figure that was not measured: a goal must not be met by having no samples */
export function figureOf(figures: readonly Figure[], contender: string, figure: string): Figure {
  const found = figures.find((each) => each.contender === contender && each.figure === figure);
  if (!found) throw new Error(`"${figure}" of "${contender}" was not measured`);
  return found;
}

/** One at least so many times as great as the other. */
export function atLeastTimes(what: string, times: number, ours: Figure, theirs: Figure): GoalResult {
  const reached = ratio(ours.samples, theirs.samples);
  return {
    what,
    goal: `>= ${times}x ${theirs.contender}`,
    reached: `${reached.toFixed(2)}x (${amount(ours)} against ${amount(theirs)})`,
    met: reached >= times,
  };
}

/** The median at most so much, in the figure's own unit. */
export function atMost(what: string, limit: number, figure: Figure): GoalResult {
  const reached = median(figure.samples);
  return { what, goal: `<= ${limit} ${figure.unit}`, reached: amount(figure), met: reached <= limit };
}

function amount({ samples, unit }: Figure): string {
  return `${short(median(samples))} ${unit}`;
}
