/** The PATH that an account has when it logs in: where its tools are, such as an agent in ~/.local/bin. */
import { spawn } from 'node:child_process';
import { dirname, isAbsolute } from 'node:path';
import type { FoundAccount } from './account.js';
import type { Host } from './host.js';

const DEADLINE_MS = 10_000;
/** What a profile may print before the answer, characters: one that prints without end would fill root's memory. */
const MOST_TALK = 1_000_000;
/** What profiles print goes before it. `printenv`, since `$PATH` is a list in fish. */
const ASK = "printf '\\ncape-path='; printenv PATH";
const ANSWER = /^cape-path=(.+)$/m;

/** Where nothing else is known. */
const USUAL = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const USUAL_MAC = '/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';

/** Null where the account has no shell, or its profile does not come to an end within 10 s, or of its talk. */
export async function loginPath(account: FoundAccount, host: Host): Promise<string | null> {
  if (account.shell === null) return null;
  const own = account.uid === host.uid;
  const [file, ...args] = own ? ownLogin(account, account.shell) : otherLogin(account, host);
  return firstAnswer(file as string, args);
}

/** From nothing, as a login would: the terminal's PATH may hold what npx or a virtual environment put there. */
function ownLogin({ name, home }: FoundAccount, shell: string): string[] {
  const variables = [`HOME=${home}`, `USER=${name}`, `LOGNAME=${name}`, `SHELL=${shell}`, `PATH=${USUAL}`, 'TERM=dumb'];
  return ['/usr/bin/env', '-i', ...variables, shell, '-l', '-c', ASK];
}

function otherLogin({ name }: FoundAccount, { platform }: Host): string[] {
  return platform === 'darwin' ? ['su', '-l', name, '-c', ASK] : ['runuser', '-l', name, '-c', ASK];
}

/** Settles with the answer and not with the end: what a profile leaves running may hold the output for ever. */
function firstAnswer(file: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'], cwd: '/' });
    const settle = (path: string | null) => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.kill();
      child.unref();
      resolve(path);
    };
    const timer = setTimeout(() => settle(null), DEADLINE_MS);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more;
      const found = ANSWER.exec(text.slice(0, text.lastIndexOf('\n') + 1));
      if (found) settle(found[1] as string);
      else if (text.length > MOST_TALK) settle(null);
    });
    child.once('error', () => settle(null));
    child.once('exit', () => setImmediate(() => settle(ANSWER.exec(text)?.[1] ?? null)));
  });
}

/**
 * PATH of the service: that of the login, and Node's folder before it where it is not in it, for commands that are Node
 * programs themselves. Put first in any case, /usr/bin would go before /usr/local/bin.
 * @param login null: the usual folders
 */
export function servicePath(node: string, login: string | null, platform: NodeJS.Platform): string {
  const usual = platform === 'darwin' ? USUAL_MAC : USUAL;
  const folders = (login ?? usual).split(':').filter((folder) => isAbsolute(folder));
  const own = dirname(node);
  return [...new Set(folders.includes(own) ? folders : [own, ...folders])].join(':');
}
