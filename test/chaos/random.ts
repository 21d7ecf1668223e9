/** Chance with a seed: the same seed gives the same draws, on any machine. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export interface Random {
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number;
  /** True in `percent` of 100 draws. */
  chance(percent: number): boolean;
  pick<T>(from: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
}

/** @param stream keeps draws for one purpose apart from those for another, so that a change of one leaves the other */
export function randomOf(seed: number, stream: number): Random {
  const generator = xoroshiro128plus((Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream, 0x85ebca6b)) | 0);
  const between = (least: number, most: number) => uniformInt(generator, least, most);
  return {
    between,
    chance: (percent) => between(0, 99) < percent,
    pick: (from) => from[between(0, from.length - 1)]!,
    shuffled(items) {
      const all = [...items];
      for (let last = all.length - 1; last > 0; last--) {
        const other = between(0, last);
        [all[last], all[other]] = [all[other]!, all[last]!];
      }
      return all;
    },
  };
}
