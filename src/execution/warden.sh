# The last one standing: notes the process groups of the runs, and ends them when the keeper is gone.
# Three callers: the keeper, with itself as $3; a worker whose keeper vanished; a worker that proves another one dead.
# Its exit is the proof: 0 = nothing is left, 1 = something would not die.
#   stdin  lines "+ PGID" and "- PGID"; its end means "the keeper is gone"
#   $1     grace between TERM and KILL, in steps of 0.2 s
#   $2     the keeper's token, which the environment of everything it started carries
#   $3     the folder with the control groups of the runs, cape-<token>-<n>; empty where they have none
#   $4     the keeper's pid; then fd 3 is the worker's lifeline
# POSIX sh but for "sleep 0.2", which GNU, BSD, macOS and busybox have.
trap '' TERM INT HUP QUIT
set -f
groups=' '
ear=

# A keeper that has not left well after its worker has is stopped or stuck: its death is our end of file.
# The seconds are slept one by one, so that no sleep outlives us for long.
listen_for_worker() {
  exec 4>&-
  read -r _
  n=0
  while [ $n -lt $(($1 / 5 + 6)) ]; do
    sleep 1
    kill -0 $$ 2>/dev/null || exit
    n=$((n + 1))
  done
  kill -KILL "$2"
}

# Those of $groups with a member that is not a zombie: zombies wait for a PID 1 that may never reap them.
living_groups() {
  if [ -r /proc/self/stat ]; then
    set +f
    for file in /proc/[0-9]*/stat; do
      { read -r line <"$file"; } 2>/dev/null || continue
      set -- ${line##*)}
      case $1 in Z | X) ;; *) echo "$3" ;; esac
    done
    set -f
  else
    ps -axo pgid=,stat= | while read -r pg state; do
      case $state in Z*) ;; *) echo "$pg" ;; esac
    done
  fi | sort -u | while read -r pg; do
    case $groups in *" $pg "*) printf '%s ' "$pg" ;; esac
  done
}

# What else is left, be it in another group: by its environment, or by its control group. 0 stands there for a process
# that our pid namespace does not show, and to kill for ourselves.
# macOS hides the environment of the system's own programs: best effort there.
strays() {
  if [ -r /proc/self/environ ]; then
    set +f
    {
      grep -slaF "CAPE_KEEPER=$token" /proc/[0-9]*/environ | cut -d/ -f3
      [ -z "$base" ] || cat "$base/cape-$token-"*/cgroup.procs 2>/dev/null | grep -v '^0$'
    } | sort -u
    set -f
  else
    ps -axwwE -o pid=,command= | grep -F "CAPE_KEEPER=$token" | grep -v grep | awk '{print $1}'
  fi
}

# The control groups in which something lives, also in groups below them.
populated() {
  [ -n "$base" ] || return
  set +f
  grep -slx 'populated 1' "$base/cape-$token-"*/cgroup.events
  set -f
}

# Ends everything in them at once, of whichever user and however it forks.
kill_control_groups() {
  populated | while read -r file; do
    { echo 1 >"${file%events}kill"; } 2>/dev/null
  done
}

# From the bottom up: a command may have made groups in its own.
remove_control_group() {
  for below in "$1"/*/; do
    [ ! -d "$below" ] || remove_control_group "${below%/}"
  done
  rmdir "$1" 2>/dev/null
}

signal_groups() { for pg in $groups; do kill -"$1" -"$pg" 2>/dev/null; done; }
signal_each() {
  name=$1
  shift
  [ $# -eq 0 ] || kill -"$name" "$@" 2>/dev/null
}

grace=$1
token=$2
base=$3
if [ -n "$4" ]; then
  listen_for_worker "$grace" "$4" <&3 &
  ear=$!
  exec 3<&-
fi

while read -r op pg _; do
  case $op in
    +) groups="$groups$pg " ;;
    -) case $groups in *" $pg "*) groups="${groups%% $pg *} ${groups#* $pg }" ;; esac ;;
  esac
done
[ -z "$ear" ] || kill -KILL $ear 2>/dev/null

signal_groups TERM
signal_each TERM $(strays)
n=0
while [ $n -lt "$grace" ]; do
  # A number that was free once may be somebody else's the next time: it is not looked at again.
  groups=" $(living_groups)"
  [ "$groups" != ' ' ] || [ -n "$(strays)" ] || break
  sleep 0.2
  n=$((n + 1))
done

# Two clean passes: a process shows no environment while it executes another program.
clean=0
n=0
while [ $clean -lt 2 ] && [ $n -lt 100 ]; do
  [ $n -eq 0 ] || sleep 0.05
  groups=" $(living_groups)"
  left=$(strays)
  clean=$((clean + 1))
  [ "$groups" = ' ' ] && [ -z "$left" ] && [ -z "$(populated)" ] || clean=0
  signal_groups KILL
  signal_each KILL $left
  kill_control_groups
  n=$((n + 1))
done

if [ -n "$base" ]; then
  set +f
  for group in "$base/cape-$token-"*/; do
    [ ! -d "$group" ] || remove_control_group "${group%/}"
  done
fi
[ $clean -ge 2 ]
