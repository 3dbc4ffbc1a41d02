# Inside of a Debian system without network that has OpenRC besides: the service conf/openrc/vaultpost, for the package /root/new.deb.
. /root/test/steps.sh
export LC_ALL=C.UTF-8
echo mail.example.org >/etc/mailname
useradd --create-home alice
export DEBIAN_FRONTEND=noninteractive
check 'apt installs the package' apt-get -y --no-install-recommends install /root/new.deb
# Beside systemd, which does not run here.
dpkg --install --force-depends --force-conflicts /root/openrc/*.deb >/dev/null 2>&1
install -m 755 /root/test/openrc /etc/init.d/vaultpost
# What the boot under OpenRC would have made.
printf '#!/sbin/openrc-run\nstart() { :; }\n' >/etc/init.d/localmount
chmod 755 /etc/init.d/localmount
: >/etc/insserv.conf
mkdir -p /etc/conf.d
echo 'rc_ulimit="-n 4096"' >/etc/conf.d/vaultpost
for folder in started starting stopping inactive wasinactive failed hotplugged daemons options exclusive scheduled tmp; do
  mkdir -p "/run/openrc/$folder"
done
touch /run/openrc/softlevel

service() { rc-service vaultpost "$1"; }
answers() { smtpctl show status; }
check 'OpenRC starts the daemon' service start
check_soon 'it answers' answers
check 'OpenRC says that it runs' service status
printf 'Subject: openrc\n\nx\n' | sendmail alice
check_soon 'it delivers' grep -qF 'Subject: openrc' /var/mail/alice
check 'it reloads' service reload
cp /etc/vaultpost/smtpd.conf /root/right.conf
echo 'listen off' >>/etc/vaultpost/smtpd.conf
check 'a restart with a mistake in the configuration fails' fails service restart
check 'and the daemon goes on' answers
cp /root/right.conf /etc/vaultpost/smtpd.conf
check 'it is restarted' service restart
check_soon 'it answers again' answers
check 'it is stopped' service stop
check 'OpenRC says that it does not run' fails service status
check 'nothing runs any more' fails pgrep -f /usr/lib/vaultpost
summary
