/**
 * What the rest of the program knows of execution: a spec goes in, a Run comes back, an Outcome ends it.
 * Nothing here knows a database.
 */
import type { ExitCodes, Outcome } from '../core/outcome.js';

/**
 * A point in time in two clocks, milliseconds. `mono` is CLOCK_MONOTONIC (one base for all processes of a host), which
 * stops while the host is suspended; `boot` is the boot-time clock, which does not. Whichever passes first counts.
 */
export interface Deadline {
  readonly mono: number;
  readonly boot: number;
}

/** One command to run, complete: nothing of it is looked up later. */
export interface CommandSpec {
  /** Names the run to the keeper; unique while it runs. The attempt's `<issue>/<attempt>` serves. */
  readonly id: string;
  /** Carried by the environment of everything the command starts (CAPE_RUN), so that it can be found again. */
  readonly token: string;
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment of the command; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Ended as `timed_out` after so many milliseconds. */
  readonly timeoutMs: number;
  /** Ended as `timed_out` after so many milliseconds without a byte of output; 0 = off. */
  readonly idleTimeoutMs: number;
  /** Between SIGTERM and SIGKILL, milliseconds. */
  readonly graceMs: number;
  /** The file that both output streams go to; its folder exists. */
  readonly logPath: string;
  /** Bytes of output kept on disk: the head in `logPath`, the newest of the rest in segments beside it. */
  readonly logLimit: number;
  /** Bytes of the end of the output that the Outcome carries. */
  readonly tailBytes: number;
  readonly exitCodes: ExitCodes;
  /** Growth of the output is told to `Executor.onOutput` while it runs, and its size at the end. */
  readonly tellsOutput?: boolean;
}

/** Why we end a run ourselves. The first reason wins. */
export type EndReason = 'timed_out' | 'idle' | 'cancelled' | 'interrupted' | 'unconfirmed';

export interface Run {
  /** The command's pid (its process group's id too); never rejects, null where it could not be started. */
  readonly started: Promise<number | null>;
  /** How it ended, once nothing of it is left. Never rejects. */
  readonly ended: Promise<Outcome>;
  /** Ends it: SIGTERM to the process group, grace, SIGKILL, then whatever left the group. A second reason changes nothing. */
  end(reason: EndReason): void;
  /** No more grace: SIGKILL now. */
  kill(): void;
}

/**
 * Runs commands in contained process trees. One per worker. The helper processes behind it are started with the first
 * command, or when there is more to do, and leave after a minute without any.
 */
export interface Executor {
  /** Starts a command. It is ended as `interrupted` when `until` passes without a `confirm` that names a later one. */
  start(spec: CommandSpec, until: Deadline): Run;
  /** After a renewal of leases: the new deadlines of runs, by id. Unknown ids are ignored. */
  confirm(deadlines: Iterable<readonly [id: string, until: Deadline]>): void;
  /** What a successor must see dead before it may say that nothing of ours is left; changes as helpers come and go. */
  readonly helpers: HelperRecord | null;
  /** Called whenever `helpers` changes. */
  onHelpers: ((helpers: HelperRecord | null) => void) | null;
  /**
   * Called when the output of runs has grown, at most every 50 ms: so many bytes have been printed in all. What of them is
   * kept is in the log and its segments by then. Of a run that printed nothing it is not called.
   */
  onOutput: ((grown: readonly (readonly [id: string, bytes: number])[]) => void) | null;
  /** Ends what still runs and the helpers; resolves when all of it is gone. */
  close(): Promise<void>;
}

/** The processes that guard the commands, as the worker's row records them for a successor on the same machine. */
export interface HelperRecord {
  /** Found in the environment of everything that the keeper started (CAPE_KEEPER). */
  readonly token: string;
  /** Notes of the groups in existence: a file with a line `+ PGID START` or `- PGID` for each. */
  readonly groupsFile: string;
  /** Whose helpers they are: a later worker with the same id has its own in the same folder. */
  readonly worker: ProcessIdentity;
  readonly keeper: ProcessIdentity;
  readonly warden: ProcessIdentity | null;
  /** The boot and pid namespace in which these pids mean something. Missing, or null: not known. */
  readonly machine?: string | null | undefined;
  /** Between SIGTERM and SIGKILL when they end everything, milliseconds. */
  readonly graceMs: number;
  /** The folder of the runs' control groups, `cape-<token>-<n>`. Missing, or null: they have none. */
  readonly controlGroup?: string | null | undefined;
  /** Those of the same worker's other keepers. Missing where it has one. */
  readonly others?: readonly HelperRecord[] | undefined;
}

/** A process, told apart from any later one with its pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time as the kernel tells it: field 22 of /proc/PID/stat, or `ps -o lstart=`. */
  readonly start: string;
}
