/** Services to render, each with something that the others have not. */
import type { ServiceSpec } from '../../src/service/spec.js';

export const SYSTEM: ServiceSpec = {
  workerId: 'alleycat-1',
  scope: 'system',
  account: { name: 'cape', uid: 998, gid: 998, group: 'cape', home: '/var/lib/cape' },
  node: '/usr/bin/node',
  program: '/opt/cape-worker/dist/cli/main.js',
  envFile: '/etc/cape-worker/alleycat-1.env',
  workingDir: '/opt/cape-worker',
  logDir: '/var/log/cape-worker',
  path: '/usr/local/bin:/usr/bin:/bin',
  harden: false,
  withDatabase: false,
  graceMs: 10_000,
};

export const USER: ServiceSpec = {
  ...SYSTEM,
  scope: 'user',
  account: { name: 'ada', uid: 1000, gid: 1000, group: 'ada', home: '/home/ada' },
  node: '/home/ada/.nvm/versions/node/v20.19.0/bin/node',
  program: '/home/ada/cape-worker/dist/cli/main.js',
  envFile: '/home/ada/.config/cape-worker/alleycat-1.env',
  workingDir: '/home/ada/cape-worker',
  logDir: '/home/ada/cape-worker/logs',
  path: '/home/ada/.nvm/versions/node/v20.19.0/bin:/usr/bin:/bin',
};

/** Whatever one of the formats might take for more than text. */
const NASTY = `a b  c%n%% $HOME \${PATH} $$ "q" 'x' \\n\\ & < > | ; # @NODE@ ]]> -- --> é 日本 \t`;

export const EVERYTHING: ServiceSpec = {
  ...SYSTEM,
  account: { ...SYSTEM.account, home: `/home/${NASTY}` },
  // systemd runs no program with quotes, backslashes or tabs in its path.
  node: `/opt/${NASTY.replace(/["'\\\t]/g, '')}/node`,
  program: `/opt/${NASTY}/main.js`,
  envFile: `/etc/${NASTY}/-@:+!`,
  workingDir: `/srv/${NASTY}/trailing \\`,
  logDir: `/srv/${NASTY}/logs`,
  path: `/usr/bin:/opt/${NASTY}`,
};

/** How systemd may look; the name is that of a golden file. */
export const UNITS = {
  system: { spec: SYSTEM, features: { version: 252, notify: true } },
  user: { spec: USER, features: { version: 252, notify: true } },
  harden: { spec: { ...SYSTEM, harden: true }, features: { version: 252, notify: true } },
  'harden-user': { spec: { ...USER, harden: true }, features: { version: 252, notify: true } },
  'harden-in-usr': {
    spec: {
      ...SYSTEM,
      harden: true,
      workingDir: '/usr/local/src/cape worker',
      logDir: '/usr/local/src/cape worker/logs',
    },
    features: { version: 252, notify: true },
  },
  database: { spec: { ...SYSTEM, withDatabase: true }, features: { version: 252, notify: true } },
  'systemd-257': { spec: SYSTEM, features: { version: 257, notify: true } },
  'systemd-239': { spec: SYSTEM, features: { version: 239, notify: true } },
  'no-notify': { spec: SYSTEM, features: { version: 252, notify: false } },
  'no-notify-239': { spec: SYSTEM, features: { version: 239, notify: false } },
  'long-grace': { spec: { ...SYSTEM, graceMs: 600_000 }, features: { version: 252, notify: true } },
  everything: { spec: EVERYTHING, features: { version: 252, notify: true } },
} as const;

export const PLISTS = { daemon: SYSTEM, agent: USER, everything: EVERYTHING } as const;
