# Inside of a Debian system whose process 1 is systemd, without network: the units of the package /root/new.deb.
. /root/test/steps.sh
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
send() { printf '%s\n' "$1" | mail -s "$1" "$2"; }
property() { systemctl show --property "$1" --value vaultpost.service; }
is() { [ "$(property "$1")" = "$2" ]; }
main_pid() { property MainPID; }
silent() { [ -z "$("$@" 2>&1)" ]; }
shows() { systemctl status --no-pager vaultpost.service | grep -qF -- "$1"; }
# The first line that somebody at port 25 says.
banner() { bash -c 'exec 3<>/dev/tcp/127.0.0.1/25 && read -r -t 20 line <&3 && [ "${line%% *}" = 220 ]'; }
# The certificate of the credential is offered.
certificate() { openssl s_client -connect 127.0.0.1:25 -starttls smtp </dev/null 2>/dev/null | grep -q 'subject=CN = mail.example.org'; }
namespace_of() { readlink "/proc/$(pgrep -f "isolates $1\$")/ns/$2"; }
apart() { [ "$(namespace_of "$1" "$2")" != "$(readlink "/proc/self/ns/$2")" ]; }

echo mail.example.org >/etc/mailname
useradd --create-home alice
useradd --create-home carol
printf '|/usr/bin/id > command\n' >/home/carol/.forward
chown carol:carol /home/carol/.forward
check 'apt installs the package' apt-get -y --no-install-recommends install /root/new.deb
check 'the unit is enabled' systemctl is-enabled vaultpost.service
check 'the daemon has said that it serves' is ActiveState active
check 'systemd-analyze verify is silent' silent systemd-analyze verify vaultpost.service vaultpost.socket
check 'the status says how many sessions there are' shows 'Status: "serving, 0 sessions'
send first alice
check_soon 'mail(1) delivers within the sandbox' has /var/mail/alice 'Subject: first'
send command carol
check_soon 'a command of a user runs as the user, in the home' has /home/carol/command uid=1001
for process in front vault; do
  check "$process has a network of its own" apart "$process" net
  check "$process has IPC of its own" apart "$process" ipc
done
check 'no wall is missing' sh -c '! journalctl --no-pager -u vaultpost.service | grep -F "does not give"'

mkdir -p /root/keys /etc/systemd/system/vaultpost.service.d
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=mail.example.org -keyout /root/keys/mail.key -out /root/keys/mail.crt 2>/dev/null
cat >/etc/systemd/system/vaultpost.service.d/test.conf <<'UNIT'
[Service]
LoadCredential=mail.crt:/root/keys/mail.crt
LoadCredential=mail.key:/root/keys/mail.key
WatchdogSec=6
RestartSec=1
UNIT
sed -i 's|^listen on lo$|pki mail.example.org cert credential:mail.crt key credential:mail.key\nlisten on lo tls pki mail.example.org|' /etc/vaultpost/smtpd.conf
systemctl daemon-reload
check 'it starts with keys that are credentials' systemctl restart vaultpost.service
check 'the certificate is offered' certificate

pid=$(main_pid)
check 'it reloads' systemctl reload vaultpost.service
check 'it is the same process' is MainPID "$pid"
cp /etc/vaultpost/smtpd.conf /root/right.conf
echo 'listen off' >>/etc/vaultpost/smtpd.conf
check 'a reload with a mistake fails' fails systemctl reload vaultpost.service
cp /root/right.conf /etc/vaultpost/smtpd.conf
check 'and the daemon goes on' banner
check 'it is active still' is ActiveState active

kill -STOP "$(main_pid)"
check_soon 'the watchdog starts a stopped daemon again' sh -c "[ \"\$(systemctl show -P NRestarts vaultpost)\" = 1 ]"
check_soon 'it serves again' is ActiveState active
check_soon 'and takes mail' banner

check 'it stops' systemctl stop vaultpost.service
check 'in good order' is Result success
printf 'listen on socket\nlisten on "0.0.0.0"\nlisten on "::"\naction "local" mbox\nmatch from any for local action "local"\n' >/etc/vaultpost/smtpd.conf
check 'the sockets open without the daemon' systemctl start vaultpost.socket
check 'it does not run yet' is ActiveState inactive
check 'a client starts it' banner
check_soon 'it runs' is ActiveState active
(sleep 0.5; systemctl restart vaultpost.service) &
sleep 1
check 'a client that comes during a restart is served' banner
wait
check 'all is taken away' apt-get -y purge vaultpost
check 'nothing runs any more' fails pgrep -f /usr/lib/vaultpost
check 'the mailboxes stay' has /var/mail/alice 'Subject: first'
summary
