#!/bin/sh
# What the issues of a chaos run do. $2 is the description: "chaos N KIND SECONDS".
# Its beginning and its own end go to the ledger, a file outside the database: a line is one short write with O_APPEND,
# so lines never mix. The monotonic time (/proc/uptime) is read before the beginning is written: it is no later than that.
note() {
  read -r up _ </proc/uptime
  echo "$1 $CAPE_ISSUE_ID $CAPE_ATTEMPT $CAPE_RUN $$ $CAPE_WORKER_ID $up $(date +%s.%N) $2" >>"$CHAOS_LEDGER"
}
finish() {
  note end "$1"
  exit "$1"
}

set -- $2
kind=$3
seconds=$4
note start "$kind"

first_time() { [ "$CAPE_ATTEMPT" = 1 ]; }
case $kind in
  quick) ;;
  sleep | long) sleep "$seconds" ;;
  die-once) ! first_time || finish 1 ;;
  fail-once)
    sleep "$seconds"
    ! first_time || finish 1
    ;;
  fail)
    sleep "$seconds"
    finish 3
    ;;
  snooze-once) ! first_time || finish 75 ;;
  invalid) finish 64 ;;
  stubborn)
    trap '' TERM
    setsid sh -c 'trap "" TERM; sleep 600' &
    sleep "$seconds"
    ;;
  hold)
    sleep 600 &
    sleep "$seconds"
    ;;
  flood) yes 'A line that is written again and again until there are a hundred megabytes of it.' | head -c 100000000 ;;
  signal-once)
    if first_time; then
      note end SIGSEGV
      kill -SEGV $$
    fi
    ;;
  timeout) sleep 600 ;;
  *) finish 64 ;;
esac
finish 0
