/**
 * `completion`: a script for bash or zsh. Everything that can be completed is written into it: asking this program at
 * each press of the key would take as long as starting it.
 */
import { loadConfig } from '../config.js';
import { CapeError, EXIT } from '../core/errors.js';
import { type Command, command, type Listed } from './command.js';
import { print } from './output.js';
import { quoted } from './values.js';

const SHELLS = ['bash', 'zsh'];

/** Takes the list of commands and their groups, which it can't import without a circle: it is on that list itself. */
export function completionOf(commands: readonly Listed[], groups: readonly string[]): Command {
  return command({
    operands: '[bash | zsh]',
    count: { min: 0, max: 1 },
    options: {},
    examples: [
      ['completion bash >> ~/.bashrc', 'for bash'],
      ['completion zsh >> ~/.zshrc', 'for zsh'],
    ],
    async run({ words }) {
      const shell = words[0] ?? currentShell();
      if (!SHELLS.includes(shell)) {
        throw new CapeError('usage', `completion: got ${quoted(shell)}; must be one of ${SHELLS.join(', ')}`);
      }
      print(script(shell, await optionsByCommand(commands), groups));
      return EXIT.ok;
    },
  });
}

/** The one that the user logs in with; bash where that is another. */
function currentShell(): string {
  const shell = loadConfig({ only: [], dotenv: false }).environment.SHELL ?? '';
  return shell.endsWith('/zsh') ? 'zsh' : 'bash';
}

async function optionsByCommand(commands: readonly Listed[]): Promise<[name: string, options: string[]][]> {
  return Promise.all(
    commands.map(async (listed): Promise<[string, string[]]> => {
      const { options } = await listed.load();
      return [listed.name, [...Object.keys(options), 'help'].map((name) => `--${name}`)];
    }),
  );
}

/** Commands, then their options; everything else is left to the shell's own completion of file names. */
function script(shell: string, commands: readonly (readonly [string, string[]])[], groups: readonly string[]): string {
  const first = [...new Set(commands.map(([name]) => name.split(' ')[0]))];
  const members = groups.map((group) => {
    const inside = commands.filter(([name]) => name.startsWith(`${group} `)).map(([name]) => name.split(' ')[1]);
    return `    ${group}) words="${inside.join(' ')}" ;;`;
  });
  const options = commands.map(([name, names]) => `    "${name}"*) words="${names.join(' ')}" ;;`);
  const fallback = commands.find(([name]) => name === 'run')?.[1] ?? [];
  return `${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}_cape_worker() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before words=""
  before="\${COMP_WORDS[*]:1:COMP_CWORD-1}"
  if [[ "$current" == -* ]]; then case "$before" in
${options.join('\n')}
    *) words="${fallback.join(' ')}" ;;
  esac; else case "$before" in
    "") words="${first.join(' ')}" ;;
${members.join('\n')}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _cape_worker cape-worker`;
}
