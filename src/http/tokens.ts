/** Who may use the API: tokens, the sessions of browsers that have shown one, and links that log in once. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ApiToken, Role } from '../core/values.js';

/** Seconds that a browser stays logged in. */
export const SESSION_SECONDS = 7 * 86_400;
/** Milliseconds that a login link may be used. */
export const LINK_MS = 10 * 60_000;

export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** Compares without telling by its time how much was right; the digests make the lengths equal. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

export class Tokens {
  readonly #tokens: readonly ApiToken[];

  constructor(tokens: readonly ApiToken[]) {
    this.#tokens = tokens;
  }

  /** The token as it is listed; of one that is listed as both, the more. Every token is looked at, whichever it is. */
  find(given: string): ApiToken | null {
    const found = this.#tokens.filter(({ token }) => isSame(token, given));
    return found.find(({ role }) => role === 'write') ?? found[0] ?? null;
  }

  /** What a token allows. */
  roleOf(given: string): Role | null {
    return this.find(given)?.role ?? null;
  }

  /** True where one of the tokens of the role has signed the text. */
  hasSigned(role: Role, text: string, signature: string): boolean {
    const own = this.#tokens.filter((one) => one.role === role);
    return own.filter((token) => isSame(mac(token, text), signature)).length > 0;
  }
}

function mac({ role, token }: ApiToken, text: string): string {
  return createHmac('sha256', `cape-worker session ${role} ${token}`).update(text).digest('base64url');
}

/**
 * Sessions of browsers. What the cookie holds is no token and opens nothing else: an id, its role and its end, signed with
 * the token that was shown. So a session outlives a restart of the server, and ends where its token is taken from the list.
 */
export class Sessions {
  readonly #tokens: Tokens;
  readonly #now: () => number;
  /** Ids of sessions that were logged out, and when they would have ended. */
  readonly #ended = new Map<string, number>();

  /** @param now milliseconds since 1970 */
  constructor(tokens: Tokens, now: () => number = Date.now) {
    this.#tokens = tokens;
    this.#now = now;
  }

  /** The cookie's value of a new session. @param token one of the list: with it the session ends */
  open(token: ApiToken): string {
    const until = Math.floor(this.#now() / 1000) + SESSION_SECONDS;
    const text = `${randomBytes(16).toString('base64url')}.${token.role}.${until}`;
    return `${text}.${mac(token, text)}`;
  }

  /** The role of a session that has not ended. */
  roleOf(cookie: string): Role | null {
    const session = parse(cookie);
    if (!session || session.until * 1000 < this.#now() || this.#ended.has(session.id)) return null;
    return this.#tokens.hasSigned(session.role, session.text, session.signature) ? session.role : null;
  }

  /** Logs a session out. */
  close(cookie: string): void {
    const session = parse(cookie);
    if (this.roleOf(cookie) === null || !session) return;
    for (const [id, until] of this.#ended) if (until * 1000 < this.#now()) this.#ended.delete(id);
    this.#ended.set(session.id, session.until);
  }
}

function parse(cookie: string) {
  const match = /^([\w-]{22})\.(read|write)\.(\d{1,12})\.([\w-]{43})$/.exec(cookie);
  if (!match) return null;
  const [, id, role, until, signature] = match as unknown as [string, string, Role, string, string];
  return { id, role, until: Number(until), signature, text: `${id}.${role}.${until}` };
}

/** A link that logs in: works once, and not for long, so that it does no harm in a log or in a shell's history. */
export class LoginLink {
  readonly code = newToken();
  readonly token: ApiToken;
  readonly #until: number;
  readonly #now: () => number;
  #used = false;

  /** @param token whose session it opens @param now milliseconds of any clock */
  constructor(token: ApiToken, now: () => number = () => performance.now()) {
    this.token = token;
    this.#now = now;
    this.#until = now() + LINK_MS;
  }

  /** True for the first that has the code, in time. */
  use(code: string): boolean {
    if (this.#used || this.#now() > this.#until || !isSame(code, this.code)) return false;
    this.#used = true;
    return true;
  }
}
