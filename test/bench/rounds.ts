/** A B A B ...: whatever else the machine does meanwhile meets all contenders alike. */
import type { Figure } from './line.js';

export interface Contender {
  readonly name: string;
  /** At most so many turns: one that takes long and hardly varies. Default: every round. */
  readonly rounds?: number;
  /** One turn, from nothing. @returns numbers by the name of their figure */
  turn(): Promise<Readonly<Record<string, number>>>;
}

/**
 * Gives each its turn, round after round.
 * @param units of the figures, in the order of the table; what is not named here is not kept
 */
export async function takeTurns(
  contenders: readonly Contender[],
  rounds: number,
  units: Readonly<Record<string, string>>,
  say: (text: string) => void,
): Promise<Figure[]> {
  const samples = new Map<string, Record<string, number>[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const { name, turn, rounds: most = rounds } of contenders) {
      if (round > most) continue;
      say(`round ${round} of ${rounds}: ${name}`);
      samples.get(name)!.push(await turn());
    }
  }
  return contenders.flatMap(({ name }) =>
    Object.entries(units).flatMap(([figure, unit]) => {
      const taken = samples.get(name)!.flatMap((sample) => sample[figure] ?? []);
      return taken.length === 0 ? [] : [{ contender: name, figure, unit, samples: taken }];
    }),
  );
}
