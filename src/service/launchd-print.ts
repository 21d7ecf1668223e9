/** What `launchctl print` and `print-disabled` say, read. Pure. Apple says that the format may change: what is missing is null. */

/** A service as launchd has it loaded. */
export interface LoadedJob {
  /** launchd's word: `running`, `not running`, `spawn scheduled`, `waiting`, `xpcproxy`. */
  readonly state: string;
  readonly pid: number | null;
  /** How often it was started since it was loaded. */
  readonly runs: number | null;
  /** For people: `exit code 78`, `signal KILL`; null where it has never ended. */
  readonly lastEnd: string | null;
  /** The last process ended well: exit code 0, which launchd takes for a stop. */
  readonly endedWell: boolean;
}

/** Lines of the service itself are behind one tab; those of blocks inside it also have a `state` and an `active count`. */
const FIELD = /^\t([^\t=][^=]*?) = (.*)$/gm;

export function parsePrint(text: string): LoadedJob {
  const fields = new Map(
    [...text.matchAll(FIELD)].map(([, name, value]) => [name as string, (value as string).trim()]),
  );
  const whole = (name: string) => (/^\d+$/.test(fields.get(name) ?? '') ? Number(fields.get(name)) : null);
  const lastEnd = endOf(fields);
  return {
    state: fields.get('state') ?? 'unknown',
    pid: whole('pid'),
    runs: whole('runs'),
    lastEnd,
    endedWell: lastEnd === null || lastEnd === 'exit code 0',
  };
}

/**
 * `last exit code = 78: EX_CONFIG`, `= 1`, `= (never exited)`; the line of a signal (`last terminating signal = Killed: 9`)
 * stands in its place.
 */
function endOf(fields: ReadonlyMap<string, string>): string | null {
  const signal = /^(.+?)(?:: (\d+))?$/.exec(fields.get('last terminating signal') ?? '');
  if (signal) return `signal ${SIGNALS[signal[2] ?? ''] ?? signal[1]}`;
  const code = /^-?\d+/.exec(fields.get('last exit code') ?? '');
  return code ? `exit code ${code[0]}` : null;
}

/** Those that a worker meets; others are shown in launchd's own words. */
const SIGNALS: Readonly<Record<string, string>> = { 1: 'HUP', 2: 'INT', 6: 'ABRT', 9: 'KILL', 11: 'SEGV', 15: 'TERM' };

/** True where `print-disabled` says so: `"com.x" => disabled`, on older systems `=> true`. */
export function isDisabled(text: string, label: string): boolean {
  const line = text.split('\n').find((candidate) => candidate.includes(`"${label}"`));
  return line !== undefined && /=> (disabled|true)\s*$/.test(line);
}
