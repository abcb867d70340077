# Two small authorities: one for what people's clients see, one by which services know each other.

# make_authority FILE NAME
make_authority() {
  [ -s "$1.pem" ] && return
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$2" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$1.key" -out "$1.pem" 2>/dev/null || die "openssl could not make the authority $2"
  chmod 600 "$1.key"
}

# make_certificate AUTHORITY FILE NAME ALTERNATIVE-NAMES
make_certificate() {
  local extensions
  [ -s "$2.pem" ] && return
  extensions=$(mktemp)
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n' "$4" >"$extensions"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$3" -keyout "$2.key" 2>/dev/null |
    openssl x509 -req -CA "$1.pem" -CAkey "$1.key" -set_serial "0x$(openssl rand -hex 12)" -days 825 \
      -extfile "$extensions" -out "$2.pem.new" 2>/dev/null || die "openssl could not make the certificate $3"
  rm -f "$extensions"
  chmod 600 "$2.key"
  mv "$2.pem.new" "$2.pem"
}

make_certificates() {
  local service names=DNS:localhost,IP:127.0.0.1,IP:::1
  mkdir -p "$STATE/tls"
  make_authority "$STATE/tls/ca" "Merpati development"
  make_certificate "$STATE/tls/ca" "$STATE/tls/server" localhost "$names,DNS:mail.example.test"
  make_authority "$STATE/tls/services-ca" "Merpati development services"
  for service in "$@"; do
    make_certificate "$STATE/tls/services-ca" "$STATE/tls/$service" "$service" "$names,DNS:$service,URI:spiffe://merpati/$service"
  done
}
