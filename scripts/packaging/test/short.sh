# The short test of the package $2: in this machine's own system, of which the folder $1 becomes a copy that is thrown away (overlayfs), without network. In
# namespaces of its own: mounts, processes, network.
set -e
. "${0%/*}/steps.sh"
place=$1
mount --make-rprivate /
# What is above an overlay cannot be on one.
mount -t tmpfs -o mode=755 tmpfs "$place"
mkdir "$place/upper" "$place/work" "$place/system"
mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" overlay "$place/system" || {
  echo 'no overlayfs'
  exit 0
}
cp -- "$2" "$place/system/vaultpost.deb"
cp -- "${0%/*}/steps.sh" "$place/system/steps.sh"
cd "$place/system"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
# What there is of ours on this machine is not for the test.
# A policy of this machine may keep services from being stopped.
rm -rf usr/sbin/policy-rc.d etc/vaultpost etc/smtpd.conf etc/mail/smtpd.conf var/spool/vaultpost usr/lib/vaultpost
echo mail.example.org >etc/mailname
# An index of the manual pages of all that is installed here takes longer than all the rest.
rm -f var/lib/man-db/auto-update
ip link set lo up
exec chroot . /bin/sh -s <<'INSIDE'
. /steps.sh
unset SMTPD_SPOOL SMTPD_SOCKET DENO_DIR
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C
send() { printf 'Subject: %s\n\nx\n' "$1" | "$2" -oi reader@localhost; }
arrived() { grep -qF "Subject: $1" /var/mail/reader; }
silent() { [ -z "$("$@" 2>&1)" ]; }
useradd --system --no-create-home reader
check 'dpkg installs the package' dpkg --force-unsafe-io --install /vaultpost.deb
check 'the init script starts the daemon' /etc/init.d/vaultpost start
check 'and says that it runs' /etc/init.d/vaultpost status
check 'sendmail takes a message' send one /usr/sbin/sendmail
check_soon 'it is in the mailbox' arrived one
check '/usr/lib/sendmail takes a message' send two /usr/lib/sendmail
check_soon 'that is in the mailbox' arrived two
check 'the daemon has its processes' sh -c "ps ax | grep -c '[i]solates ' | grep -qx 3"
check 'the init script asks for a reload' /etc/init.d/vaultpost reload
if command -v systemd-analyze >/dev/null; then
  check 'systemd-analyze finds nothing in the units' silent systemd-analyze --man=no verify vaultpost.service vaultpost.socket
  # What keeps it from less stands in the unit.
  check 'the unit is exposed by 3.6 of 10 at most' systemd-analyze security --offline=true --threshold=36 vaultpost.service
fi
if command -v shellcheck >/dev/null; then check 'shellcheck finds nothing in the init script' shellcheck /etc/init.d/vaultpost; fi
check 'it is removed' dpkg --remove vaultpost
check 'the configuration stays' test -f /etc/vaultpost/smtpd.conf
check 'no program stays' sh -c '! test -e /usr/lib/vaultpost && ! test -e /usr/sbin/sendmail'
check 'the daemon has ended' fails pgrep -f /usr/lib/vaultpost
check 'it is purged' dpkg --purge vaultpost
check 'the configuration is gone' sh -c '! test -e /etc/vaultpost'
check 'the queue stays' test -s /var/spool/vaultpost/queue.db
check 'the mailbox stays' arrived two
summary
INSIDE
