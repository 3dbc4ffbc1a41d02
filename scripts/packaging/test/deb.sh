# Inside of a Debian system without network and without init, which has another mail server: installs the packages /root/old.deb and /root/new.deb, and takes
# them away.
. /root/test/steps.sh
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt_get() { apt-get -y --no-install-recommends "$@"; }
send() { printf '%s\n' "$1" | mail -s "$1" "$2"; }
queued() { [ "$(mailq | wc -l)" = "$1" ]; }
owner_of() { [ "$(stat -c '%U %a' "$1")" = "$2" ]; }

echo mail.example.org >/etc/mailname
useradd --create-home alice
check 'apt installs the package over another mail server' apt_get install /root/old.deb
check 'the other mail server is gone' fails test -e /usr/sbin/exim4
check 'the users are there' id smtpd smtpq
check 'the queue belongs to its user' owner_of /var/spool/vaultpost 'smtpq 711'
check 'man finds the pages' man -w smtpd.conf smtpd smtpctl sendmail mailq aliases table
check 'the first configuration is right' smtpd -n
# Without init nothing starts by itself.
check 'the init script starts the daemon' /etc/init.d/vaultpost start
check 'it knows that it runs' /etc/init.d/vaultpost status
check 'a second start changes nothing' /etc/init.d/vaultpost start
send first alice
check_soon 'mail(1) delivers' has /var/mail/alice 'Subject: first'
printf 'Subject: old-name\n\nx\n' | /usr/lib/sendmail -oi alice
check_soon '/usr/lib/sendmail delivers' has /var/mail/alice 'Subject: old-name'
printf 'bob: alice\n' >>/etc/aliases
check 'newaliases accepts the aliases' newaliases
printf 'a b\n' >/tmp/map
check 'makemap writes a map' makemap -o /tmp/map.db /tmp/map
check 'the init script asks for a reload' /etc/init.d/vaultpost reload
check 'mail waits in the queue' smtpctl pause mda
send second bob
check_soon 'it is listed' queued 1
printf '# local change\n' >>/etc/vaultpost/smtpd.conf
check 'a newer package replaces it' apt_get install /root/new.deb
check 'the changed configuration is as it was' has /etc/vaultpost/smtpd.conf '# local change'
check 'the mail is still in the queue' queued 1
check 'the old daemon has ended' fails /etc/init.d/vaultpost status
check 'the new one starts' /etc/init.d/vaultpost start
check_soon 'it delivers what the old one has queued' has /var/mail/alice 'Subject: second'
check 'mail waits in the queue again' smtpctl pause mda
send third alice
check_soon 'the third mail is listed' queued 1
check 'it is removed' dpkg --remove --force-depends vaultpost
check 'the configuration stays' test -f /etc/vaultpost/smtpd.conf
check 'the program is gone' fails test -e /usr/lib/vaultpost
check 'nothing runs any more' fails pgrep -f /usr/lib/vaultpost
check 'it is purged, and says what stays' sh -c 'dpkg --purge --force-depends vaultpost 2>&1 | grep -F "these stay: the queue in /var/spool/vaultpost"'
check 'the configuration is gone' fails test -e /etc/vaultpost
check 'the queue stays' test -s /var/spool/vaultpost/queue.db
check 'the mailboxes stay' has /var/mail/alice 'Subject: second'
check 'it is installed again' dpkg --install /root/new.deb
check 'it starts' /etc/init.d/vaultpost start
check_soon 'what the purge has left in the queue is delivered' has /var/mail/alice 'Subject: third'
check 'the init script ends the daemon' /etc/init.d/vaultpost stop
check 'it knows that none runs' fails /etc/init.d/vaultpost status
summary
