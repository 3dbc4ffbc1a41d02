# The image that umoci has unpacked into the folder $1, run with its own entry point as its own user. In namespaces of its own: mounts, processes, network.
# $2, $3: user and group; $4 ...: the words of the entry point.
folder=$1 ids=$2:$3
shift 3
. "${0%/*}/steps.sh"
ip link set lo up
for name in null zero full random urandom; do
  : >"$folder/dev/$name"
  mount --bind "/dev/$name" "$folder/dev/$name"
done
in_image() { chroot --userspec="$ids" --groups= "$folder" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
# In the background: the shell becomes what it starts.
start() { exec chroot --userspec="$ids" --groups= "$folder" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
healthy() { in_image /usr/sbin/smtpctl show status; }
send() { printf 'Subject: image\n\nx\n' | in_image /usr/bin/smtp -s smtp://127.0.0.1:2525 you@localhost; }
arrived() { grep -rqF 'Subject: image' "$folder/var/mail/localhost/you/new"; }
as_user() { [ "$(stat -c %u "$folder/proc/$daemon")" = "${ids%:*}" ]; }
in_order() { wait "$daemon"; }

start "$@" &
daemon=$!
check_soon 'the health check passes' healthy
check 'it does not run as root' as_user
check 'it takes mail at the high port' send
check_soon 'the mail is in the mailbox of the volume' arrived
kill -TERM "$daemon"
check 'SIGTERM ends it in good order' in_order
check 'the health check fails then' fails healthy
start "$@" &
daemon=$!
check_soon 'it starts again with what is in its volumes' healthy
kill -TERM "$daemon"
check 'and ends' in_order
summary
