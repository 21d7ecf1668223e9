/** What cape-worker wants of a service manager, be it systemd or launchd. */
import type { ServiceSpec } from './spec.js';

/** How a service is doing, in words that both managers have. */
export interface ServiceState {
  /** Its file is where the manager looks for it. */
  readonly installed: boolean;
  /** Starts by itself after a reboot (or at login). */
  readonly enabled: boolean;
  readonly active: 'running' | 'starting' | 'stopping' | 'stopped' | 'failed';
  readonly pid: number | null;
  /** Since when it is in this state. */
  readonly since: Date | null;
  /** The worker's own words (systemd's STATUS). */
  readonly text: string | null;
  /** How often it was started again after a crash; null where nobody counts. */
  readonly restarts: number | null;
  /** How its last process ended, for people: "exit code 78", "signal KILL". */
  readonly lastEnd: string | null;
}

/** One manager in one scope. Its methods throw CapeError where the manager refuses, in the manager's own words. */
export interface ServiceManager {
  readonly kind: 'systemd' | 'launchd';
  /** Path of the file that defines the service. */
  fileOf(workerId: string): string;
  /** As the manager calls it: `cape-worker-alleycat-1.service`, `com.cape.worker.alleycat-1`. */
  nameOf(workerId: string): string;
  /** The text of that file. Pure but for what was asked of the manager before. */
  render(spec: ServiceSpec): string;
  /** What the text of an installed file was rendered from; null where it is none of ours. */
  parse(text: string): ServiceSpec | null;
  /** Ids of the installed workers, sorted. */
  list(): Promise<string[]>;
  /** Makes the manager read its files again. */
  reload(workerId: string): Promise<void>;
  /** Starts with the machine (or at login) from now on. */
  enable(workerId: string): Promise<void>;
  disable(workerId: string): Promise<void>;
  /** Asks for a start and does not wait for readiness. */
  start(workerId: string): Promise<void>;
  /**
   * Stops, and resolves when it has stopped: after the running issues, which may take an hour.
   * @param now ends the running issues and gives them back
   */
  stop(workerId: string, options?: { readonly now?: boolean }): Promise<void>;
  /**
   * Stops as `stop` does, and starts again. systemd only takes the wish and does it by itself, so this resolves at once;
   * with launchd it resolves when it has stopped and the start was asked for. Either way it is up when `state` says so,
   * with another pid.
   */
  restart(workerId: string, options?: { readonly now?: boolean }): Promise<void>;
  /** Why nothing can be started here and now, for people; null where it can. Absent: it always can. */
  whyNoStart?(): Promise<string | null>;
  state(workerId: string): Promise<ServiceState>;
  /**
   * The last lines that the service printed.
   * @param lastStart only what it printed since then, where the manager can tell
   */
  lastLines(workerId: string, count: number, options?: { readonly lastStart?: boolean }): Promise<string[]>;
  /** Prints what the service prints to our own stdout until it is interrupted. */
  follow(workerId: string, count: number): Promise<void>;
}
