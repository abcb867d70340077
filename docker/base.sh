#!/bin/sh
# base.sh OUT.tar: a small Debian 12 for images, made from Debian's archive where no registry is reachable; needs root and
# debootstrap. The same set of packages and the same exclusions as the public debian:bookworm-slim.
# MIRROR (http://deb.debian.org) may name another host; SOURCE_DATE_EPOCH becomes the time of every file that is newer.
set -eu
out=$1 mirror=${MIRROR:-http://deb.debian.org} work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
debootstrap --variant=minbase --merged-usr bookworm "$root" "$mirror/debian" >"$work/log" 2>&1 || {
  tail -n 20 "$work/log" >&2
  echo "base.sh: debootstrap failed; is $mirror reachable? (MIRROR names another)" >&2
  exit 1
}
cat >"$root/etc/apt/sources.list" <<LIST
deb $mirror/debian bookworm main
deb $mirror/debian bookworm-updates main
deb $mirror/debian-security bookworm-security main
LIST
cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'CONF'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/lintian/*
CONF
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
printf 'Acquire::Languages "none";\nAPT::Install-Recommends "false";\n' >"$root/etc/apt/apt.conf.d/slim"
chroot "$root" sh -ec 'apt-get update -q; DEBIAN_FRONTEND=noninteractive apt-get upgrade -y -q' >>"$work/log" 2>&1 || {
  tail -n 20 "$work/log" >&2
  echo "base.sh: the upgrade to the current updates failed" >&2
  exit 1
}
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* "$root"/var/cache/ldconfig/* \
  "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root"/usr/share/man/* "$root"/usr/share/info/* \
  "$root"/usr/share/locale/* "$root"/usr/share/lintian "$root"/etc/machine-id "$root"/etc/resolv.conf "$root"/etc/hostname \
  "$root"/dev/* "$root"/proc/* "$root"/tmp/*
find "$root/usr/share/doc" -depth -type f ! -name copyright -delete
tar -C "$root" --sort=name --numeric-owner --clamp-mtime --mtime="@${SOURCE_DATE_EPOCH:-0}" -cf "$out" .
