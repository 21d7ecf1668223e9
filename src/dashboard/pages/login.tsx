/** Who comes without a login link pastes a token. */
import { useState } from 'preact/hooks';
import { ApiError, messageOf } from '../api/request.js';
import { Command } from '../parts/empty.js';
import { logIn } from '../state/session.js';

export function LoginPage() {
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const token = String(new FormData(event.currentTarget as HTMLFormElement).get('token') ?? '').trim();
    setBusy(true);
    setProblem(null);
    try {
      await logIn(token);
    } catch (error) {
      const refused = error instanceof ApiError && error.status === 401;
      setProblem(refused ? 'This is none of the tokens of this server.' : messageOf(error));
    }
    setBusy(false);
  };
  return (
    <main class="login">
      <form class="card login-card" onSubmit={submit}>
        <h1>cape-worker</h1>
        <p class="muted">
          The server prints a link at its start that logs you in once. Or paste one of its tokens (
          <code>CAPE_API_TOKENS</code>).
        </p>
        <label class="label" for="token">
          Token
        </label>
        <input
          id="token"
          name="token"
          class="field"
          type="password"
          autocomplete="off"
          required
          aria-invalid={problem !== null}
          aria-describedby="token-problem"
        />
        <p id="token-problem" class="problem" role="alert">
          {problem}
        </p>
        <button type="submit" class="button primary" disabled={busy}>
          Log in
        </button>
        <p class="muted small-text">No server at hand? This starts one, and prints the link:</p>
        <Command text="npx cape-worker serve" />
      </form>
    </main>
  );
}
