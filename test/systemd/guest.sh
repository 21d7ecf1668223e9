#!/bin/sh
# Boots a real systemd over a copy-on-write view of this machine's root, and boots it again whenever it asks for a reboot.
# Usage: unshare --mount --propagation private sh guest.sh PID USER TREE < a pipe
# PID is that of whoever starts it, and names it. USER is made in it, with a copy of the folder TREE in "~/cape worker". It runs until the pipe is closed.
#
# Nothing is to be cleaned up, however this ends: all mounts are in a mount namespace of this script's own, and what the
# guest writes is in memory. Never "systemd --system" on the machine's own root: it empties /tmp.
set -eu
machine=cape-guest-$1 user=$2 tree=$3

# A control group of its own in each of the hierarchies that nspawn uses, or two runs would share the groups in their
# guests. Those that a killed run has left behind are empty and go first.
groups=''
for at in /sys/fs/cgroup:0:: /sys/fs/cgroup/unified:0:: /sys/fs/cgroup/systemd:name=systemd:; do
  mount=${at%%:*}
  group=$mount$(sed -n "s/^[0-9]*:*${at#*:}//p" /proc/self/cgroup | head -n 1)
  [ -e "$group/cgroup.procs" ] || continue
  for old in "$group"/cape-guest-*; do
    kill -0 "${old##*-}" 2> /dev/null || find "$old" -depth -type d -exec rmdir {} + 2> /dev/null || true
  done
  mkdir "$group/$machine" 2> /dev/null && echo $$ > "$group/$machine/cgroup.procs" && groups="$groups $group"
done
trap 'for group in $groups; do
  echo $$ > "$group/cgroup.procs"; find "$group/$machine" -depth -type d -exec rmdir {} + || true
done' EXIT

# Over /run, where nspawn keeps notes of its own: here they vanish with the namespace.
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir /run/lower /run/upper /run/work /run/guest
mount --bind / /run/lower
# The upper folder may not lie on another overlay, which a container's root is: hence memory.
mount -t overlay -o lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work overlay /run/guest
guest=/run/guest

# None of the services that this machine has switched on, and none of its disks.
rm -rf "$guest"/etc/systemd/system "$guest"/etc/systemd/user "$guest"/etc/rc?.d "$guest"/var/lib/systemd/linger
mkdir -p "$guest"/etc/systemd/system "$guest"/etc/systemd/user
: > "$guest"/etc/fstab
for unit in systemd-networkd systemd-resolved systemd-timesyncd console-getty getty@tty1; do
  ln -s /dev/null "$guest/etc/systemd/system/$unit.service"
done
ln -s /lib/systemd/system/multi-user.target "$guest"/etc/systemd/system/default.target
# Nor what workers of this machine have of their own.
rm -rf "$guest"/etc/cape-worker "$guest"/var/lib/cape-worker* "$guest"/var/log/cape-worker
# With the machine's own, nspawn refuses to link the journals, and both would share one journal folder.
rm -rf "$guest"/etc/machine-id "$guest"/var/log/journal
tr -d - < /proc/sys/kernel/random/uuid > "$guest"/etc/machine-id

# As a clone after `npm ci`: without what belongs to whoever runs this.
chroot "$guest" useradd --create-home --shell /bin/bash "$user"
clone="$guest/home/$user/cape worker"
mkdir "$clone"
tar -C "$tree" --exclude=./.git --exclude='./.env*' --exclude='./logs/*' -cf - . | tar -C "$clone" -xf - --no-same-owner
chroot "$guest" chown -R "$user:" "/home/$user"
if [ -e "$guest"/etc/sudoers.d ]; then
  echo "$user ALL=(ALL) NOPASSWD: ALL" > "$guest/etc/sudoers.d/$user"
fi

boot() {
  # pdeathsig: killed outright, this script takes the guest along.
  setpriv --pdeathsig KILL systemd-nspawn --directory="$guest" --boot --machine="$machine" --hostname=guest \
    --register=no --keep-unit --private-network --resolv-conf=off --timezone=off --console=pipe < /dev/null &
  echo $! > /run/nspawn
  code=0
  wait $! || code=$?
  echo "guest: ended with $code"
}
# 133 is its word for a reboot.
{ boot; while [ "$code" = 133 ]; do boot; done; echo 'guest: off'; } &

cat > /dev/null
nspawn=$(cat /run/nspawn)
kill -TERM "$nspawn" 2> /dev/null || true
# It powers off; a guest that will not is ended.
for _ in $(seq 1 150); do
  kill -0 "$nspawn" 2> /dev/null || break
  sleep 0.1
done
kill -KILL "$nspawn" 2> /dev/null || true
wait
