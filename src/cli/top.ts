/** `top`: the overview in a terminal, live. What draws it is loaded for this command alone. */
import { loadConfig } from '../config.js';
import { EXIT } from '../core/errors.js';
import { command, flag, JSON_OPTION } from './command.js';
import { CLIENT_OPTIONS, nameOfDatabase, withClient } from './database.js';
import { print } from './output.js';

interface TopFlags {
  readonly once?: boolean;
  readonly json?: boolean;
}

export const top = command<TopFlags>({
  options: {
    once: flag('Print how things are now and leave; so it is without a terminal'),
    json: { ...JSON_OPTION.json, describe: 'Print that as JSON' },
    ...CLIENT_OPTIONS,
  },
  examples: [
    ['top', 'workers, running issues and results, live; ? shows the keys'],
    ['top --once', 'the same as plain text, once'],
    ['top --once --json', 'for programs'],
  ],
  async run({ flags }) {
    const { stdin: input, stdout: out } = process;
    return withClient(flags, async (client, opened) => {
      const database = await nameOfDatabase(opened);
      if (!flags.once && !flags.json && input.isTTY && out.isTTY && !isDumb()) {
        return (await import('./top-live.js')).runLive({ client, database, input, out });
      }
      const { OverviewReader } = await import('./top-overview.js');
      const { SNAPSHOT_ROWS, snapshotJson, snapshotText } = await import('./top-snapshot.js');
      const overview = await new OverviewReader(client).read({}, SNAPSHOT_ROWS);
      print(flags.json ? snapshotJson(database, overview) : snapshotText(database, overview, out));
      return EXIT.ok;
    });
  },
});

/** A terminal that can't be drawn upon, such as that of an editor. */
function isDumb(): boolean {
  return loadConfig({ only: [], dotenv: false }).environment.TERM === 'dumb';
}
