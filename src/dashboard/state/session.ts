/** Who the server takes this browser for. */
import { computed, signal } from '@preact/signals';
import { ApiError, ask, messageOf, tell, whenUnauthorized } from '../api/request.js';
import type { Me } from '../api/types.js';

export type Session =
  | { readonly state: 'asking' }
  | { readonly state: 'out' }
  | { readonly state: 'unreachable'; readonly message: string }
  | { readonly state: 'in'; readonly me: Me };

export const session = signal<Session>({ state: 'asking' });

/** False for a token that may only read: what would be refused is not offered. */
export const mayWrite = computed(() => session.value.state === 'in' && session.value.me.role === 'write');

whenUnauthorized(() => {
  session.value = { state: 'out' };
});

/** Asks the server; while it is not there, again every two seconds. */
export async function resumeSession(): Promise<void> {
  try {
    session.value = { state: 'in', me: await ask<Me>('api/me') };
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return;
    session.value = { state: 'unreachable', message: messageOf(error) };
    setTimeout(resumeSession, 2000);
  }
}

/** @throws ApiError where the token is none of the server's */
export async function logIn(token: string): Promise<void> {
  await tell('POST', 'api/login', { token });
  await resumeSession();
}

export async function logOut(): Promise<void> {
  await tell('POST', 'api/logout').catch(() => {});
  session.value = { state: 'out' };
}
