/** `service render`: the files that install would write, as they would be. */
import { EXIT } from '../core/errors.js';
import { oneLine } from '../core/text.js';
import { command, JSON_OPTION } from './command.js';
import { print, printJson } from './output.js';
import { WISH_OPTIONS, type WishFlags, wishOf } from './service-install.js';
import { scopeOf, thisHost, thisProgram, workerIdOf } from './service-options.js';

interface RenderFlags extends WishFlags {
  readonly json?: boolean;
}

export const render = command<RenderFlags>({
  operands: '<worker-id>',
  count: { min: 1, max: 1 },
  options: { ...WISH_OPTIONS, ...JSON_OPTION },
  examples: [['service render alleycat-1 --user', 'print the unit and the env file, with secrets masked']],
  async run({ words, flags }) {
    const host = thisHost();
    const scope = scopeOf(flags) ?? (host.uid === 0 ? 'system' : 'user');
    const { openManager } = await import('../service/open-manager.js');
    const { planInstall } = await import('../service/plan.js');
    const { shownFiles } = await import('../service/show-plan.js');
    const wish = wishOf(workerIdOf(words[0]), scope, flags);
    const files = shownFiles(await planInstall(wish, await openManager(scope, host), thisProgram(), host));
    if (flags.json) printJson(files.map(({ path, text }) => ({ path, text })));
    else
      for (const { path, text } of files) {
        print(`# ${path}`);
        for (const line of text.split('\n')) print(oneLine(line));
      }
    return EXIT.ok;
  },
});
