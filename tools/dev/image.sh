# image: merpati:TAG, and where no registry is reachable also the images that stand in for public ones.

PUBLIC_BASE=debian:bookworm-slim
OWN_BASE=merpati-base:bookworm
GATEWAY=github.com/versity/versitygw/cmd/versitygw@v1.8.0

project_version() { sed -n 's/^project(merpati VERSION \([0-9.]*\).*/\1/p' "$ROOT/CMakeLists.txt"; }
source_revision() {
  local revision
  revision=$(git -C "$ROOT" rev-parse HEAD 2>/dev/null) || { echo unknown; return; }
  [ -z "$(git -C "$ROOT" status --porcelain 2>/dev/null)" ] || revision+=-dirty
  echo "$revision"
}
source_time() { echo "${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct 2>/dev/null || echo 0)}"; }
is_debian_12() { grep -qs '^ID=debian' /etc/os-release && grep -qs '^VERSION_ID="12"' /etc/os-release; }
has_image() { docker image inspect "$1" >/dev/null 2>&1; }

need_docker() {
  command -v docker >/dev/null || install_packages image
  docker version >/dev/null 2>&1 || die "the Docker daemon does not answer. Start it, for instance:
  sudo systemctl start docker                          where systemd runs
  sudo sh -c 'dockerd >/var/log/dockerd.log 2>&1 &'    where it does not
(and \"docker version\" says what is wrong: $(docker version 2>&1 | tail -n 1))"
}

# Leaves the base's name in BASE, and in REGISTRY whether a registry answered.
find_base() {
  REGISTRY=no
  if { [ -z "$FRESH" ] && has_image "$PUBLIC_BASE"; } || timeout 120 docker pull -q "$PUBLIC_BASE" >/dev/null 2>&1; then
    REGISTRY=yes BASE=$PUBLIC_BASE
    return
  fi
  BASE=$OWN_BASE
  [ -n "$FRESH" ] || ! has_image "$OWN_BASE" || return 0
  command -v debootstrap >/dev/null || install_packages image
  say "no registry has $PUBLIC_BASE: making $OWN_BASE from Debian's archive (some minutes)"
  local tar
  tar=$(mktemp --suffix=.tar)
  as_root env SOURCE_DATE_EPOCH="$EPOCH" "$ROOT/docker/base.sh" "$tar" || { rm -f "$tar"; die "the base image could not be made"; }
  docker import -m "docker/base.sh" -c 'CMD ["bash"]' "$tar" "$OWN_BASE" >/dev/null || die "docker import failed"
  rm -f "$tar"
}

# build_image NAME DOCKERFILE CONTEXT [ARGUMENT...]: on the host's network, where Debian's archive is reached as here.
build_image() {
  local name=$1 file=$2 context=$3
  shift 3
  say "building the image $name"
  # shellcheck disable=SC2086
  docker build --network host $FRESH --build-arg "BASE=$BASE" "$@" -t "$name" -f "$file" "$context" >&2 ||
    die "docker build of $name failed"
}

# The programs of build/PRESET and what the Dockerfile reads, in a folder of their own: a context of a few megabytes.
prebuilt_context() {
  local context=$1 preset=$2
  mkdir -p "$context/tools/dev" "$context/docker"
  cp -p tools/dev/common.sh tools/dev/packages.sh "$context/tools/dev"
  cp -p docker/*.sh docker/Dockerfile "$context/docker"
  SOURCE_DATE_EPOCH=$EPOCH docker/collect.sh "build/$preset/bin" "$context/docker/prebuilt" || die "collecting the programs failed"
}

image_merpati() {
  local way=$1 preset=$2 tag=$3 context
  local about=(--build-arg "VERSION=$(project_version)" --build-arg "REVISION=$(source_revision)"
    --build-arg "SOURCE_DATE_EPOCH=$EPOCH")
  if [ "$way" = source ]; then
    build_image "merpati:$tag" docker/Dockerfile . "${about[@]}"
    return
  fi
  context=$(mktemp -d)
  prebuilt_context "$context" "$preset"
  build_image "merpati:$tag" "$context/docker/Dockerfile" "$context" "${about[@]}"
  rm -rf "$context"
  # What the classic builder leaves behind of each build: stages, and the image that had the tag before.
  docker image prune -f --filter label=merpati.stage >/dev/null
  docker image prune -f --filter label=org.opencontainers.image.title=Merpati >/dev/null
}

image_postgres() { build_image "merpati-postgres:$1" docker/postgres/Dockerfile docker; }

image_s3() {
  local context=$ROOT/build/image/s3
  mkdir -p "$context"
  cp -p docker/s3/Dockerfile docker/settle.sh docker/sbom.sh "$context"
  if [ "$(cat "$context/module" 2>/dev/null)" != "$GATEWAY" ]; then
    command -v go >/dev/null || die "merpati-s3 needs Go 1.24 or newer to compile $GATEWAY (or --no-helpers)"
    say "compiling $GATEWAY (some minutes)"
    GOBIN=$context CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' "$GATEWAY" >&2 || die "go install failed"
    echo "$GATEWAY" >"$context/module"
  fi
  build_image "merpati-s3:$1" "$context/Dockerfile" "$context" --build-arg "GATEWAY=$GATEWAY"
}

cmd_image() {
  local tag= way= preset=release helpers= build=yes
  FRESH=
  tag=$(project_version)
  while [ $# -gt 0 ]; do
    case $1 in
      --tag) tag=${2:?--tag needs a name}; shift 2 ;;
      --tag=*) tag=${1#*=}; shift ;;
      --prebuilt) way=prebuilt; shift ;;
      --from-source) way=source; shift ;;
      --preset) preset=${2:?--preset needs a name} way=prebuilt; shift 2 ;;
      --no-build) build=no; shift ;;
      --fresh) FRESH=--no-cache; shift ;;
      --helpers) helpers=yes; shift ;;
      --no-helpers) helpers=no; shift ;;
      *) die "image does not know \"$1\"; see ./dev help" ;;
    esac
  done
  if [ -z "$way" ]; then if is_debian_12; then way=prebuilt; else way=source; fi; fi
  [ "$way" = source ] || is_debian_12 || die "--prebuilt needs a Debian 12, whose libraries are those of the image; use --from-source"
  need_docker
  EPOCH=$(source_time)
  if [ "$way" = prebuilt ] && [ $build = yes ]; then
    install_packages build
    build_targets "$preset" merpati merpatictl
  fi
  find_base
  image_merpati "$way" "$preset" "$tag"
  if [ "${helpers:-$([ $REGISTRY = yes ] && echo no || echo yes)}" = yes ]; then
    image_postgres "$tag"
    image_s3 "$tag"
  fi
  docker image ls --filter "reference=merpati*:$tag"
}
