/** A Dockerfile as data: enough of its language for ours. */

export interface Instruction {
  readonly name: string;
  readonly words: readonly string[];
  readonly text: string;
}

/** Its instructions in order; lines that go on are joined, comments left out. */
export function instructions(dockerfile: string): Instruction[] {
  return dockerfile
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name, text] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
      if (name === undefined || text === undefined) throw new Error(`not an instruction: ${line}`);
      return { name, text, words: text.startsWith('[') ? (JSON.parse(text) as string[]) : text.split(/\s+/) };
    });
}

/** The stages: each begins with FROM. */
export function stages(all: readonly Instruction[]): Instruction[][] {
  const found: Instruction[][] = [];
  for (const instruction of all) {
    if (instruction.name === 'FROM') found.push([]);
    found.at(-1)?.push(instruction);
  }
  return found;
}
