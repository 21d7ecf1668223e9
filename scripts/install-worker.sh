#!/bin/sh
# Makes a clone of cape-worker ready to run and installs a worker of it as a service. POSIX sh, for dash, bash and busybox;
# Linux and macOS. What it says goes to standard error: standard output is the command's (--json).
set -eu

usage() {
  cat <<'EOF'
Usage: scripts/install-worker.sh <worker-id> [options]

Installs a worker as a service of this machine, from a clone: looks for Node 20.19 or newer and npm, installs the
dependencies and builds where that has not been done, then runs

  cape-worker service install <worker-id> [options]

Options are those of that command, among them:

  --user, --system        a service of your own, or of the machine (default: of the machine when root)
  --run-as USER           whom it runs as (default: the user behind sudo)
  --with-database         a Postgres comes along, as a service of its own
  --env-file FILE         where settings and secrets are kept
  --command './agent.sh'  what is run for each issue (default: cape-adw, which must be on PATH then)
  --concurrency 4 ...     any setting of the worker
  --dry-run               say what would be done, and do nothing
  --help                  this text; of the command: cape-worker service install --help

The database is that of DATABASE_URL, in the environment or in .env; or say --with-database.

Examples:

  scripts/install-worker.sh alleycat-1 --with-database --command './agent.sh'
  sudo scripts/install-worker.sh alleycat-1 --with-database --command './agent.sh'
  sudo --preserve-env=DATABASE_URL scripts/install-worker.sh alleycat-1 --concurrency 4
  scripts/install-worker.sh alleycat-1 --user --dry-run
EOF
}

# Exit codes as those of the program: 64 the command line is wrong, 1 it can't be done.
EX_USAGE=64

say() { printf 'install-worker: %s\n' "$*" >&2; }

fail() {
  code=$1
  shift
  say "$*"
  exit "$code"
}

# What came from outside, on one line.
shown() { printf '"%.100s"' "$(printf '%s' "$1" | LC_ALL=C tr -d '\000-\037\177')"; }

# The same rule as the program's, which is asked only after it has been built.
check_id() {
  rule='must be 1 to 100 letters, digits, ".", "_" or "-", beginning with a letter or digit'
  case $1 in
    -*) fail $EX_USAGE "the worker id comes first: got $(shown "$1"); see --help" ;;
    *..*) fail $EX_USAGE "worker id: got $(shown "$1"); must not contain \"..\"" ;;
    '' | [!A-Za-z0-9]* | *[!A-Za-z0-9._-]*) fail $EX_USAGE "worker id: got $(shown "$1"); $rule" ;;
  esac
  [ ${#1} -le 100 ] || fail $EX_USAGE "worker id: got $(shown "$1"); $rule"
}

# The clone that this script lies in, also where it was called through a link.
find_root() {
  self=$0
  while [ -L "$self" ]; do
    link=$(readlink "$self")
    case $link in
      /*) self=$link ;;
      *) self=$(dirname "$self")/$link ;;
    esac
  done
  root=$(CDPATH='' cd -- "$(dirname -- "$self")/.." && pwd -P)
  if ! [ -f "$root/package-lock.json" ] || ! [ -d "$root/src" ]; then
    fail 1 "$root is no clone of cape-worker; of an installed package: cape-worker service install <worker-id>"
  fi
}

# ---- who ----

me=$(id -u)

# Home of an account; the name is checked, since it is expanded.
home_of() {
  case $1 in
    '' | *[!A-Za-z0-9._-]*) return 0 ;;
  esac
  eval "printf '%s' ~$1"
}

find_people() {
  behind=
  [ "$me" != 0 ] || behind=${SUDO_USER:-${DOAS_USER:-}}
  # Not by stat, whose options differ between systems. Only the third word is read.
  # shellcheck disable=SC2012
  owner=$(ls -ldn "$root" | awk '{ print $3; exit }')
  # shellcheck disable=SC2012
  owner_name=$(ls -ld "$root" | awk '{ print $3; exit }')
}

check_owner() {
  [ "$me" != "$owner" ] || return 0
  [ "$me" = 0 ] || fail 1 "$root belongs to $owner_name: run this as $owner_name, or by sudo"
  id "$owner_name" >/dev/null 2>&1 ||
    fail 1 "$root belongs to $owner_name, which is no account of this machine: chown it first"
  as_owner "$node" --version >/dev/null 2>&1 || fail 1 "$owner_name, who owns $root, can't run $node; install Node for all"
}

# Runs a command as whom the clone belongs to: what root leaves in it, its owner could neither change nor remove.
as_owner() {
  if [ "$me" = "$owner" ]; then
    "$@"
    return
  fi
  set -- env HOME="$(home_of "$owner_name")" USER="$owner_name" LOGNAME="$owner_name" PATH="$PATH" "$@"
  if command -v runuser >/dev/null; then
    runuser -u "$owner_name" -- "$@"
  elif command -v sudo >/dev/null; then
    sudo -n -u "$owner_name" -- "$@"
  else
    # shellcheck disable=SC2016 # for the inner shell
    su -s /bin/sh -c 'exec "$0" "$@"' -- "$owner_name" "$@"
  fi
}

# ---- Node and npm ----

# True for a version that will do.
is_new_enough() {
  major=${1%%.*}
  rest=${1#*.}
  minor=${rest%%.*}
  case $major$minor in
    '' | *[!0-9]*) return 1 ;;
  esac
  [ "$major" -gt 20 ] || { [ "$major" -eq 20 ] && [ "$minor" -ge 19 ]; }
}

# A number that grows with the version.
weight() {
  printf '%s' "$1" | awk -F. '{ printf "%d", ($1 * 1000 + $2) * 1000 + $3 }'
}

# Node's own places and those of its version managers: sudo's PATH has none of the latter.
node_places() {
  command -v node || true
  for home in "$(home_of "$behind")" "${HOME:-}"; do
    [ -n "$home" ] || continue
    for place in \
      "$home"/.nvm/versions/node/*/bin/node \
      "$home"/.local/share/fnm/node-versions/*/installation/bin/node \
      "$home"/.fnm/node-versions/*/installation/bin/node \
      "$home/Library/Application Support/fnm/node-versions"/*/installation/bin/node \
      "$home"/.volta/tools/image/node/*/bin/node \
      "$home"/.asdf/installs/nodejs/*/bin/node \
      "$home"/.local/share/mise/installs/node/*/bin/node; do
      [ ! -x "$place" ] || printf '%s\n' "$place"
    done
  done
  for place in /usr/local/bin/node /opt/homebrew/bin/node /home/linuxbrew/.linuxbrew/bin/node; do
    [ ! -x "$place" ] || printf '%s\n' "$place"
  done
}

# That of PATH if it will do, else the newest one that is found.
find_node() {
  node=
  best=0
  old=
  places=$(node_places)
  while IFS= read -r place; do
    [ -n "$place" ] || continue
    version=$("$place" -p process.versions.node 2>/dev/null) || continue
    if ! is_new_enough "$version"; then
      old="$old; $place is $version"
      continue
    fi
    number=$(weight "$version")
    if [ "$number" -gt "$best" ]; then
      best=$number
      node=$place
      node_version=$version
    fi
    [ "$place" != "$(command -v node || true)" ] || break
  done <<EOF
$places
EOF
  [ -n "$node" ] ||
    fail 1 "no Node 20.19 or newer is found${old}; install one (https://nodejs.org, or nvm install 22), or put it on PATH"
  PATH=$(dirname "$node"):$PATH
  export PATH
}

need_npm() {
  command -v npm >/dev/null || fail 1 "npm is not found beside $node nor on PATH; install it with Node (Debian: apt install npm)"
  # Only where a dependency comes from a repository in place of the registry.
  if grep -q '"resolved": "git' "$root/package-lock.json"; then
    command -v git >/dev/null || fail 1 "git is not found, and a dependency comes from a git repository; install git"
  fi
}

# ---- dependencies and build ----

# True where the first argument is missing, or older than one of the others (or anything in it).
is_stale() {
  made=$1
  shift
  [ -e "$made" ] || return 0
  [ -n "$(find "$@" -newer "$made" 2>/dev/null | head -n 1)" ]
}

needs_install() { is_stale "$root/node_modules/.package-lock.json" "$root/package-lock.json" && ! has_packages; }

# A checkout makes package-lock.json newer without a change. What npm has installed it notes in a file of the same form.
SAME='const { readFileSync } = require("fs");
  const [wanted, found] = process.argv.slice(1).map((path) => JSON.parse(readFileSync(path, "utf8")).packages);
  const differs = ([path, { version, dev, optional, devOptional }]) =>
    path !== "" && (found[path] ? found[path].version !== version : !(dev || optional || devOptional));
  Object.entries(wanted).some(differs) ? "other" : "same"'
has_packages() {
  [ "$("$node" -p "$SAME" "$root/package-lock.json" "$root/node_modules/.package-lock.json" 2>/dev/null)" = same ]
}

# The build makes it executable at its very end: one that was interrupted did not get there.
needs_build() {
  [ -x "$root/dist/cli/main.js" ] || return 0
  is_stale "$root/dist/cli/main.js" "$root/src" "$root/package.json" "$root/tsconfig.json" "$root/tsconfig.build.json" \
    "$root/scripts/build.mjs" "$root/scripts/build"
}

has_compiler() { [ -e "$root/node_modules/typescript/package.json" ]; }

NO_NETWORK='ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ECONNRESET|ERR_SOCKET_TIMEOUT|ENOTCACHED'

# Runs npm in the clone with its words kept in $talk.
npm_quietly() {
  # 022: the account that the worker runs as has to read what is made here, whatever root's umask.
  # The database is none of the business of the packages' own scripts.
  (umask 022 && unset DATABASE_URL CAPE_LISTEN_URL && cd "$root" && as_owner npm "$@") >"$talk" 2>&1 </dev/null
}

# Why npm got nothing from its registry, by what it said; nothing where that was not the reason.
network_error() { grep -Eo "$NO_NETWORK" "$talk" | head -n 1; }

# Runs npm; what it says is shown only where it fails.
npm_run() {
  need_npm
  if npm_quietly "$@"; then return; fi
  lost=$(network_error)
  [ -z "$lost" ] ||
    fail 1 "npm $1: no network: the registry of npm can't be reached ($lost); connect this machine and run this again"
  tail -n 20 "$talk" >&2
  fail 1 "npm $1 failed in $root; its last lines are above"
}

# Without a network npm ci took over two minutes to say so (it asks four times for each of a hundred packages), so the
# registry is asked first. One that knows no ping answers something else than silence.
# npm ci begins by removing what is there: without a network a worker may have to live on it.
install_dependencies() {
  need_npm
  offline=
  if ! npm_quietly ping --fetch-retries=0 --fetch-timeout=15000 && [ -n "$(network_error)" ]; then
    [ ! -e "$root/node_modules/.package-lock.json" ] || fail 1 "the dependencies have to be installed anew, and" \
      "the registry of npm can't be reached ($(network_error)); connect this machine and run this again"
    say "the registry of npm can't be reached ($(network_error)): trying with what npm has kept of earlier times"
    offline=--offline
  fi
  npm_run ci --include=dev --no-audit --no-fund $offline
}

install_and_build() {
  # Somebody who works in this clone keeps the tools; a host where nobody does has no use for them.
  keeps_tools=no
  ! has_compiler || keeps_tools=yes
  if needs_install || { needs_build && ! has_compiler; }; then
    installed=yes
    if step 'installing the dependencies (npm ci), which takes a minute'; then
      install_dependencies
    fi
  else
    installed=no
    say 'dependencies: there'
  fi
  if needs_build; then
    if step 'building (npm run build)'; then npm_run run build; fi
  else
    say 'build: up to date'
  fi
  if [ "$installed" = yes ] && [ "$keeps_tools" = no ]; then
    if step 'removing what only the build needs (npm prune)'; then
      npm_run prune --omit=dev --no-save --no-audit --no-fund --offline
    fi
  fi
}

# True where it is to be done.
step() {
  if [ "$dry" = yes ]; then
    say "would be done: $1"
    return 1
  fi
  check_owner
  say "$1"
}

# True where the program takes these options. What it says is said when it is called in earnest.
is_understood() {
  code=0
  "$node" -- "$root/dist/cli/main.js" service install "$@" --dry-run >/dev/null 2>&1 || code=$?
  [ "$code" != $EX_USAGE ]
}

make_log_folder() {
  [ "$own_logs" = yes ] && [ ! -d "$root/logs" ] || return 0
  [ "$dry" = yes ] || is_understood "$@" || return 0
  if step "making the log folder $root/logs"; then
    as_owner mkdir -p "$root/logs"
  fi
}

# ---- from here on it runs ----

id=${1-}
[ $# -gt 0 ] || fail $EX_USAGE 'a worker id is missing, as in: scripts/install-worker.sh alleycat-1; see --help'

dry=no
own_logs=yes
for word in "$@"; do
  case $word in
    --help | -h)
      usage
      exit 0
      ;;
    --dry-run) dry=yes ;;
    --log-dir | --log-dir=*) own_logs=no ;;
  esac
done
check_id "$id"
shift

talk=$(mktemp "${TMPDIR:-/tmp}/install-worker.XXXXXX")
trap 'rm -f "$talk"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
find_root
find_people
find_node
say "Node $node_version: $node"
install_and_build
make_log_folder "$id" "$@"
if [ ! -x "$root/dist/cli/main.js" ]; then
  say "would be done: cape-worker service install $id"
  exit 0
fi
# An exit that is replaced by another program is none.
rm -f "$talk"
# The two dashes: Node would take an --env-file behind the program's path for its own.
exec "$node" -- "$root/dist/cli/main.js" service install "$id" "$@"
