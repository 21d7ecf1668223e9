/**
 * A machine for the tests of installing: folders of its own, and a systemctl, loginctl and journalctl that keep a state in
 * them and record what they were asked. What a real systemd does is the business of test/systemd.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { Host } from '../../src/service/host.js';

/** State is a file of NAME=value lines for each unit, as `show` prints them. A file `refuse-VERB` holds an error. */
const SYSTEMCTL = `#!/bin/sh
cd "$FAKE_SYSTEMD" || exit 9
if [ "$1" = --user ]; then
  shift
  [ -e "$XDG_RUNTIME_DIR/systemd/private" ] || { echo 'Failed to connect to bus: No medium found' >&2; exit 1; }
fi
[ "$1" = --no-block ] && shift
verb=$1
for unit in "$@"; do :; done
put() { grep -v "^$1=" "$unit" > new || :; echo "$1=$2" >> new; mv new "$unit"; }
[ "$verb" = --version ] && { echo 'systemd 252 (252.39)'; exit 0; }
[ "$verb" = show ] || echo "systemctl $*" >> calls
[ -e "refuse-$verb" ] && { cat "refuse-$verb" >&2; exit 1; }
while [ -e "hang-$verb" ]; do sleep 0.05; done
case $verb in
  daemon-reload | reset-failed | kill) exit 0 ;;
esac
[ -e "$unit" ] || printf '%s\\n' ActiveState=inactive MainPID=0 NRestarts=0 UnitFileState= > "$unit"
start() { while IFS='=' read -r name value; do put "$name" "$value"; done < after-start; }
case $verb in
  show) cat "$unit" ;;
  is-active) sed -n 's/^ActiveState=//p' "$unit"; grep -q '^ActiveState=active' "$unit" ;;
  enable) put UnitFileState enabled ;;
  disable) put UnitFileState disabled ;;
  start | restart) start ;;
  stop) put ActiveState inactive; put MainPID 0 ;;
  *) echo "fake systemctl: $*" >&2; exit 9 ;;
esac
`;

const LOGINCTL = `#!/bin/sh
cd "$FAKE_SYSTEMD" || exit 9
[ "$1" = show-user ] || echo "loginctl $1" >> calls
[ -e "refuse-$1" ] && { cat "refuse-$1" >&2; exit 1; }
case $1 in
  show-user) cat linger 2> /dev/null || echo no ;;
  enable-linger)
    echo yes > linger
    mkdir -p "$FAKE_RUNTIME/systemd"
    # As the real one: the folder first, and a moment later what listens in it.
    (sleep 0.2; : > "$FAKE_RUNTIME/systemd/private") > /dev/null 2>&1 &
    ;;
  disable-linger) echo no > linger; rm -rf "$FAKE_RUNTIME" ;;
esac
`;

/** Of a start that is asked for by its id it has what is in a file of that name. */
const JOURNALCTL = `#!/bin/sh
for word in "$@"; do
  case $word in _SYSTEMD_INVOCATION_ID=*) cat "$FAKE_SYSTEMD/journal-\${word#*=}"; exit ;; esac
done
cat "$FAKE_SYSTEMD/journal"
`;

/** The real one's answer, but that every account has a home: `nobody`, who may run these tests, has none. */
const GETENT = `#!/bin/sh
PATH=\${PATH#*:}
[ "$1" = passwd ] || exec getent "$@"
getent "$@" | while IFS=: read -r name password uid gid words home shell; do
  [ -d "$home" ] || home=\${FAKE_SYSTEMD%/*}/home
  echo "$name:$password:$uid:$gid:$words:$home:$shell"
done
`;

export interface FakeMachine {
  readonly host: Host;
  /** Where things lie; nothing outside is written. */
  readonly dir: string;
  /** What the tools were asked since the last time, but for what only looks. */
  calls(): string[];
  /** How a service is once it was started. */
  afterStart(values: Readonly<Record<string, string | number>>): void;
  /** What systemd says of a unit from now on. */
  says(unit: string, values: Readonly<Record<string, string | number>>): void;
  /** Lets a verb fail with these words. */
  refuse(verb: string, words: string): void;
  forgive(verb: string): void;
  /** Lets a verb take for ever. */
  hang(verb: string): void;
  journal(text: string): void;
  /** Somebody is logged in: the user's own systemd can be asked without lingering. */
  login(): void;
}

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** The account is whoever runs the tests; its home and configuration are in the folder. */
export function fakeMachine(): FakeMachine {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'cape service ')));
  folders.push(dir);
  // There while somebody is logged in or lingers.
  const runtime = join(dir, `run/user/${process.getuid?.() ?? 0}`);
  const [bin, state] = [join(dir, 'bin'), join(dir, 'systemd')];
  for (const folder of [bin, state, join(dir, 'home'), join(dir, 'run/systemd/system')])
    mkdirSync(folder, { recursive: true });
  const tools = { systemctl: SYSTEMCTL, loginctl: LOGINCTL, journalctl: JOURNALCTL, getent: GETENT };
  for (const [name, text] of Object.entries(tools)) {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  }
  const file = (name: string) => join(state, name);
  const lines = (values: Readonly<Record<string, string | number>>) =>
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('');
  return {
    host: {
      platform: 'linux',
      environment: {
        PATH: `${bin}:${process.env.PATH}`,
        FAKE_SYSTEMD: state,
        FAKE_RUNTIME: runtime,
        XDG_RUNTIME_DIR: '',
      },
      uid: process.getuid?.() ?? 0,
      home: join(dir, 'home'),
      root: dir,
    },
    dir,
    calls() {
      const found = existsSync(file('calls')) ? readFileSync(file('calls'), 'utf8').split('\n').filter(Boolean) : [];
      rmSync(file('calls'), { force: true });
      return found;
    },
    afterStart: (values) => writeFileSync(file('after-start'), lines(values)),
    says: (unit, values) => writeFileSync(file(unit), lines(values)),
    refuse: (verb, words) => writeFileSync(file(`refuse-${verb}`), `${words}\n`),
    forgive: (verb) => rmSync(file(`refuse-${verb}`)),
    login() {
      mkdirSync(join(runtime, 'systemd'), { recursive: true });
      writeFileSync(join(runtime, 'systemd/private'), '');
    },
    hang: (verb) => writeFileSync(file(`hang-${verb}`), ''),
    journal: (text) => writeFileSync(file('journal'), text),
  };
}
