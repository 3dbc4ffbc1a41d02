# Becomes systemd as process 1 of the system in the folder $1. In namespaces of its own already: mounts, processes, network, IPC, names, cgroups.
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
  : >"dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm
ip link set lo up
hostname mail
mkdir -p .old
pivot_root . .old
umount -l /.old
# As a container manager does it: what a service mounts for its credentials is seen by all.
mount --make-rshared /
exec env -i container=vaultpost-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
