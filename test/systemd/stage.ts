/** What the tests of services do again and again in a guest: install a worker, queue issues, look at what became of them. */
import { until } from '../support/until.js';
import { type Answer, CLONE, type Guest, HOME, NEWCOMER, say, seconds } from './guest.js';

const PROGRAM = `node "${CLONE}/dist/cli/main.js"`;
/** Where the issues' command writes "start ISSUE ATTEMPT PID" and "end ISSUE ATTEMPT PID". */
const LEDGER = `${HOME}/ledger`;

/** The command of all workers here. The issue's text says what it does: "sleep 5", or "stray": let go of a child. */
export const COMMAND = '/usr/local/bin/work';
const COMMAND_TEXT = `#!/bin/sh
echo "start $CAPE_ISSUE_ID $CAPE_ATTEMPT $$" >> ${LEDGER}
case $2 in
  'sleep '*) $2 ;;
  # Out of the process group, the environment and the output of the run.
  stray) setsid env -i sleep 100001 > /dev/null 2>&1 & ;;
esac
echo "end $CAPE_ISSUE_ID $CAPE_ATTEMPT $$" >> ${LEDGER}
`;

export interface ShownIssue {
  readonly status: string;
  readonly attempt: number;
  readonly failures: number;
  readonly crashes: number;
  readonly attempts: readonly { readonly outcome: string | null }[];
}

/** A guest with the command in it. */
export class Stage {
  constructor(
    readonly guest: Guest,
    /** Whose settings lead to the database. */
    private readonly workerId: string,
    /** As the newcomer himself, or by his sudo. */
    private readonly scope: 'system' | 'user' = 'system',
  ) {}

  async prepare(): Promise<void> {
    await this.guest.write(COMMAND, COMMAND_TEXT);
    await this.guest.run('chmod', '755', COMMAND);
  }

  /** Types a line in the newcomer's shell, in his home. Shown, with what it answered. */
  async type(line: string): Promise<Answer> {
    const began = performance.now();
    const answer = await this.guest.tryAs(NEWCOMER, `cd; ${line}`);
    const code = answer.code === 0 ? '' : `, exit code ${answer.code}`;
    say(`$ ${line}\n${answer.all}\n(${seconds(performance.now() - began)}${code})`);
    return answer;
  }

  /** The one command of the newcomer. */
  install(workerId: string, options = ''): Promise<Answer> {
    return this.type(`${this.#sudo}"${CLONE}/scripts/install-worker.sh" ${workerId} ${options}`);
  }

  /** A command of cape-worker. */
  cape(words: string): Promise<Answer> {
    return this.type(`${this.#sudo}${PROGRAM} ${words}`);
  }

  get #sudo(): string {
    return this.scope === 'system' ? 'sudo ' : '';
  }

  /** Queues an issue. @returns its id */
  async add(text: string): Promise<number> {
    const { stdout } = await this.#quietly(`issues add "${text}" --service ${this.workerId}`);
    return Number(stdout);
  }

  async issue(id: number): Promise<ShownIssue> {
    return JSON.parse((await this.#quietly(`issues show ${id} --json --service ${this.workerId}`)).stdout);
  }

  #quietly(words: string): Promise<Answer> {
    return this.guest.runAs(NEWCOMER, `cd; ${this.#sudo}${PROGRAM} ${words}`);
  }

  /** Waits until an issue's command has been started (for the `attempt`th time). @returns the command's pid */
  async started(id: number, attempt = 1): Promise<number> {
    const line = await until(
      () =>
        this.ledger().then((lines) =>
          lines.find(({ what, issue, ...each }) => what === 'start' && issue === id && each.attempt === attempt),
        ),
      {
        timeoutMs: 60_000,
        what: `issue ${id} to be started`,
      },
    );
    return line.pid;
  }

  /** Waits until an issue has reached a status that is final. */
  async ended(id: number): Promise<ShownIssue> {
    const issue = await until(
      async () => {
        const now = await this.issue(id);
        return /^(completed|failed|cancelled)$/.test(now.status) && now;
      },
      { timeoutMs: 90_000, what: `the end of issue ${id}` },
    );
    const { status, attempt, failures, crashes } = issue;
    const lines = (await this.ledger()).filter((line) => line.issue === id);
    say(
      `issue ${id}: ${status}, attempt ${attempt}, failures ${failures}, crashes ${crashes}; its command said: ` +
        lines.map(({ what, attempt }) => `${what} ${attempt}`).join(', '),
    );
    return issue;
  }

  /** What the commands have written. */
  async ledger(): Promise<{ what: string; issue: number; attempt: number; pid: number }[]> {
    const lines = ((await this.guest.read(LEDGER)) ?? '').split('\n').filter(Boolean);
    return lines.map((line) => {
      const [what = '', issue, attempt, pid] = line.split(' ');
      return { what, issue: Number(issue), attempt: Number(attempt), pid: Number(pid) };
    });
  }

  async isAlive(pid: number): Promise<boolean> {
    return (await this.guest.try('sh', '-c', `grep -q '^State:\t[^Z]' /proc/${pid}/status`)).code === 0;
  }

  /** The pid of a unit of the system. */
  async pid(unit: string): Promise<number> {
    return Number(await this.guest.property(unit, 'MainPID'));
  }

  /** Waits until a unit has another main process than `before`, and is up. */
  async back(unit: string, before: number): Promise<number> {
    return until(
      async () => {
        const pid = await this.pid(unit);
        return pid !== before && (await this.guest.property(unit, 'ActiveState')) === 'active' && pid;
      },
      { timeoutMs: 60_000, what: `${unit} to be back` },
    );
  }

  /** Settings of a unit that an administrator adds. */
  async dropIn(unit: string, lines: string): Promise<void> {
    await this.guest.write(`/etc/systemd/system/${unit}.d/test.conf`, `[Service]\n${lines}\n`);
    await this.guest.run('systemctl', 'daemon-reload');
  }
}
