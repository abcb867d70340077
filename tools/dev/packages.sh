# What is needed from Debian 12's archive, and its installation.

packages_of() {
  case $1 in
    build)
      echo clang-16 cmake ninja-build ccache mold pkg-config git ca-certificates protobuf-compiler libprotobuf-dev \
        libprotoc-dev libgrpc++-dev libabsl-dev libboost1.81-dev libssl-dev libpq-dev libgtest-dev libgmock-dev \
        libbenchmark-dev libfmt-dev libspdlog-dev libyaml-cpp-dev prometheus-cpp-dev libcli11-dev \
        nlohmann-json3-dev libsodium-dev libicu-dev libunbound-dev nettle-dev libevent-dev libcurl4-openssl-dev libzstd-dev libpsl-dev \
        libre2-dev libjemalloc-dev libldap-dev zlib1g-dev libexpat1-dev libarchive-dev
      ;;
    run) echo postgresql-15 openssl curl procps util-linux ;;
    test)
      echo python3 python3-yaml iproute2 nftables zsh swaks libnet-ssleay-perl msmtp isync fetchmail mutt gnupg strace dovecot-imapd \
        dovecot-pop3d dovecot-lmtpd dovecot-sieve postfix pgbouncer sieve-connect rspamd clamav-daemon opendkim python3-milter \
        nsd ldnsutils swift-proxy swift-account swift-container swift-object python3-swift memcached python3-grpcio python3-spf python3-dkim python3-nacl python3-dnspython
      ;;
    image) echo debootstrap binutils iptables $(command -v docker >/dev/null || echo docker.io) ;;
    containers) echo docker-compose ;;
    helm) echo golang-go ca-certificates ;;
    lint) echo clang-format-16 clang-tidy-16 clang-tools-16 python3 ;;
  esac
}

missing_packages() {
  local package
  for package in $(for group in "$@"; do packages_of "$group"; done | tr ' ' '\n' | sort -u); do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

# Nothing that is installed here shall start as a service of the machine, nor make a database cluster of its own.
install_quietly() {
  local policy=/usr/sbin/policy-rc.d ours=no status=0
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod +x $policy
    ours=yes
  fi
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    as_root mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confdef "$@" >&2 || status=$?
  [ $ours = no ] || as_root rm -f $policy
  return $status
}

# install_packages GROUP...: with apt's own progress on the terminal.
install_packages() {
  local missing
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  [ "${MERPATI_NO_INSTALL:-}" != 1 ] || die "not installed (and MERPATI_NO_INSTALL=1): $(echo $missing)"
  command -v apt-get >/dev/null || die "not installed: $(echo $missing); only Debian's apt is supported"
  say "installing $(echo "$missing" | wc -l) packages from Debian's archive: $(echo $missing)"
  as_root apt-get update -q >&2 || say "apt-get update failed; trying with the lists that are there"
  # shellcheck disable=SC2086
  install_quietly $missing || die "apt-get could not install: $(echo $missing)"
}
