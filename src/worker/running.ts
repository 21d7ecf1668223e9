/**
 * The runs of a worker, found by issue and token. By issue first, so that the question that every start asks (does an
 * older run of this issue still end?) costs the same with one slot as with five hundred.
 */
import type { Claim } from '../core/issue.js';
import type { Deadline, Run } from '../execution/spec.js';

export interface ActiveAttempt {
  readonly claim: Claim;
  readonly run: Run;
  /** The run's last confirmed deadline: past it the keeper ends it, since the lease may soon be another's. */
  until: Deadline;
  lost: boolean;
  readonly since: Date;
}

export class Running implements Iterable<ActiveAttempt> {
  /** Of one issue the oldest first: after TRUNCATE ... RESTART IDENTITY an id comes again while its old run still ends. */
  readonly #byIssue = new Map<number, ActiveAttempt[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(attempt: ActiveAttempt): void {
    const { id } = attempt.claim.issue;
    const others = this.#byIssue.get(id);
    if (others) others.push(attempt);
    else this.#byIssue.set(id, [attempt]);
    this.#size += 1;
  }

  delete(attempt: ActiveAttempt): void {
    const { id } = attempt.claim.issue;
    const all = this.#byIssue.get(id) ?? [];
    const at = all.indexOf(attempt);
    if (at < 0) return;
    if (all.length === 1) this.#byIssue.delete(id);
    else all.splice(at, 1);
    this.#size -= 1;
  }

  find(id: number, token: string): ActiveAttempt | undefined {
    return this.#byIssue.get(id)?.find(({ claim }) => claim.token === token);
  }

  /** The newest run of that issue that another claim began. */
  otherRunOf({ issue, token }: Claim): ActiveAttempt | undefined {
    return this.#byIssue.get(issue.id)?.findLast(({ claim }) => claim.token !== token);
  }

  *[Symbol.iterator](): Iterator<ActiveAttempt> {
    for (const attempts of this.#byIssue.values()) yield* attempts;
  }
}
