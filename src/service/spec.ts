/** A service as plain data: everything that its unit or plist is rendered from. No file, no process, no clock. */

/** `system` starts with the machine, `user` belongs to one account. */
export type Scope = 'system' | 'user';

/** The user's own first: who asks without rights means those. */
export const SCOPES: readonly Scope[] = ['user', 'system'];

/** An account as the system knows it. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Name of its first group. */
  readonly group: string;
  /** Absolute. */
  readonly home: string;
}

/** One worker as a service. All paths are absolute; nothing in it is secret. */
export interface ServiceSpec {
  readonly workerId: string;
  readonly scope: Scope;
  /** Whom it runs as. */
  readonly account: Account;
  /** The Node binary. */
  readonly node: string;
  /** This program: `dist/cli/main.js`. */
  readonly program: string;
  /** Holds the settings and the secrets; read by the worker itself, never by the service manager. */
  readonly envFile: string;
  readonly workingDir: string;
  readonly logDir: string;
  /** PATH of the worker, and so of its commands. */
  readonly path: string;
  /** Adds the restrictions of `--harden`. systemd only. */
  readonly harden: boolean;
  /** Wants `cape-worker-postgres.service` up before it. */
  readonly withDatabase: boolean;
  /** Between SIGTERM and SIGKILL of a command, milliseconds: the shortest stop that is still orderly is longer. */
  readonly graceMs: number;
}

/** What the systemd at hand can do. */
export interface SystemdFeatures {
  /** Such as 252. */
  readonly version: number;
  /** `systemd-notify` is installed; without it the unit is Type=exec. */
  readonly notify: boolean;
}
