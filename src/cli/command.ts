/** What a command of the CLI is: plain data and one function. program.ts turns it into yargs' terms. */
import type { Options } from 'yargs';

export interface Command<Flags extends object = object> {
  /** The words after the command as people read them in the help: `<id..>`, `[text]`. */
  readonly operands?: string;
  /** How many of those words there may be. Absent: none. */
  readonly count?: { readonly min: number; readonly max: number };
  readonly options: Readonly<Record<string, Options>>;
  /** Command line (without the program's name) and what it does. Every command has at least one. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** True where a reader that goes away (`| head`) must not end the program: a worker goes on without its console. */
  readonly outlivesReader?: true;
  /**
   * Does the work and prints.
   * @returns the exit code
   * @throws CapeError for whatever a person can act on
   */
  run(input: { readonly words: readonly string[]; readonly flags: Flags }): Promise<number>;
}

/** A command as the list of all knows it, before its code is loaded. */
export interface Listed {
  /** One or two words. */
  readonly name: string;
  readonly about: string;
  load(): Promise<Command>;
}

/** Keeps the types of the flags inside the command's own file: outside, every command looks alike. */
export function command<Flags extends object>(definition: Command<Flags>): Command {
  return definition as unknown as Command;
}

/** An option with a value. It stays text here: the schema that checks it says what is allowed. */
export function value(describe: string): Options {
  return { type: 'string', requiresArg: true, describe };
}

/** An option with a value that may be given several times: an array of texts. */
export function values(describe: string): Options {
  // Without `nargs` it would also take the words that follow its value.
  return { type: 'string', array: true, nargs: 1, requiresArg: true, describe };
}

export function flag(describe: string): Options {
  return { type: 'boolean', describe };
}

export const JSON_OPTION = { json: flag('Print JSON, the rows as they are') };
