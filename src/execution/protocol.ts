/** What worker and keeper say to each other: one JSON object a line, over a socket pair. */
import type { Readable, Writable } from 'node:stream';
import type { CommandSpec, Deadline, EndReason, HelperRecord, ProcessIdentity } from './spec.js';

/** The keeper's one argument, as JSON. */
export interface KeeperConfig {
  readonly token: string;
  /** The keeper's own folder: FIFOs, the notes of groups, its record. */
  readonly dir: string;
  readonly worker: ProcessIdentity;
  /** This boot and pid namespace, where the system tells. */
  readonly machine: string | null;
  /** Between SIGTERM and SIGKILL when the warden ends everything, milliseconds. */
  readonly graceMs: number;
  /** PATH for the tools that the helpers need (sh, mkfifo, grep). */
  readonly toolPath: string;
}

/** File descriptors of the keeper beyond the usual three. */
export const KEEPER_FD = {
  /** The messages, both ways. */
  messages: 3,
  /** Closed when the worker is gone; the keeper only hands it to the warden. */
  lifeline: 4,
  /** Held by keeper and warden: closed towards the worker when both have ended. */
  proof: 5,
} as const;

export type ToKeeper =
  | { readonly t: 'start'; readonly spec: CommandSpec; readonly until: Deadline }
  /** New deadlines, one message after each renewal. Absolute times: a message that lay in the pipe extends nothing. */
  | { readonly t: 'confirm'; readonly deadlines: ReadonlyArray<readonly [id: string, until: Deadline]> }
  | { readonly t: 'end'; readonly id: string; readonly why: EndReason }
  | { readonly t: 'kill'; readonly id: string }
  | { readonly t: 'ping' };

/** Our own start of the command failed; `code` is the errno of the stage that failed. */
export interface StartFailure {
  readonly stage: 'cwd' | 'output' | 'exec';
  readonly code: string;
  readonly message: string;
}

/** How a run ended, told when nothing of it is left. */
export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why we ended it; null where the command ended by itself. */
  readonly why: EndReason | null;
  /** The end of the output, cleaned. */
  readonly tail: string;
  /** Bytes of output in all. */
  readonly bytes: number;
  /** Those of them that reached no file. */
  readonly lost: number;
  /** The errno of the last failed write to the log. */
  readonly logError: string | null;
  /** True where a process of it could not be ended (of another user, or stuck in the kernel). */
  readonly survivors: boolean;
}

export type Grown = readonly [id: string, bytes: number];

export type FromKeeper =
  | { readonly t: 'helpers'; readonly record: HelperRecord }
  | { readonly t: 'started'; readonly id: string; readonly pid: number }
  | { readonly t: 'unrunnable'; readonly id: string; readonly failure: StartFailure }
  | { readonly t: 'ended'; readonly id: string; readonly ending: Ending }
  /** How many bytes runs have printed so far; of those only whose spec asks for it, and only while they run. */
  | { readonly t: 'output'; readonly grown: readonly Grown[] }
  | { readonly t: 'pong' };

/** Writes messages, all at once; dropped where the other side is gone, which its close event tells by itself. */
export function say<Message extends ToKeeper | FromKeeper>(stream: Writable, ...messages: readonly Message[]): void {
  if (stream.writable && messages.length > 0)
    stream.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
}

/**
 * Calls `onMessage` for every message that arrives. Only new text is searched for the end of a line: with what had come
 * before joined to each chunk, a message of 40 MB took longer than a keeper may stay silent.
 */
export function listen<Message extends ToKeeper | FromKeeper>(
  stream: Readable,
  onMessage: (message: Message) => void,
): void {
  let unfinished: string[] = [];
  stream.setEncoding('utf8'); // keeps a character together that lies across the border of two chunks
  stream.on('data', (text: string) => {
    const [head = '', ...rest] = text.split('\n');
    unfinished.push(head);
    if (rest.length === 0) return;
    const lines = [unfinished.join(''), ...rest];
    unfinished = [lines.pop() ?? ''];
    for (const line of lines) onMessage(JSON.parse(line) as Message);
  });
}
