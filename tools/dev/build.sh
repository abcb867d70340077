# Configure, build, format, lint.

# The compiler's cache lives outside the checkout and keeps no path of it, so that a fresh clone starts warm wherever it is.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$ROOT} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}
export CCACHE_DIR=${CCACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ccache}

presets() { sed -n 's/.*"name": "\([a-z]*\)", *"inherits".*/\1/p' CMakePresets.json; }
check_preset() {
  local known
  for known in $(presets); do [ "$known" != "$1" ] || return 0; done
  die "there is no preset \"$1\"; there are: $(echo $(presets))"
}

# build_targets PRESET [TARGET...]
build_targets() {
  local preset=$1
  shift
  if [ ! -e "build/$preset/build.ninja" ]; then
    say "configuring build/$preset"
    cmake --preset "$preset" >"/tmp/merpati-configure-$$.log" 2>&1 || {
      cat "/tmp/merpati-configure-$$.log" >&2
      rm -f "/tmp/merpati-configure-$$.log"
      die "cmake failed"
    }
    rm -f "/tmp/merpati-configure-$$.log"
  fi
  say "building build/$preset: ${*:-everything}"
  local targets=()
  [ $# -eq 0 ] || targets=(--target "$@")
  cmake --build "build/$preset" -j "$(jobs_count)" "${targets[@]}" >&2 || die "the build failed"
}

cmd_build() {
  local preset=dev
  if [ $# -gt 0 ] && presets | grep -qxF -- "$1"; then
    preset=$1
    shift
  fi
  install_packages build
  build_targets "$preset" "$@"
}

sources() { git ls-files --cached --others --exclude-standard '*.cpp' '*.hpp'; }

cmd_fmt() {
  install_packages lint
  sources | xargs -P "$(nproc)" -n 20 clang-format-16 -i
}

cmd_lint() {
  install_packages build lint
  say "clang-format"
  sources | xargs -P "$(nproc)" -n 20 clang-format-16 --dry-run -Werror || die "not formatted: ./dev fmt"
  [ -e build/dev/compile_commands.json ] || build_targets dev
  say "clang-tidy"
  local files=("$@")
  [ ${#files[@]} -gt 0 ] || mapfile -t files < <(git ls-files 'libs/*/src/*.cpp' 'services/*.cpp')
  printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy-16 -p build/dev --quiet --warnings-as-errors='*' ||
    die "clang-tidy found something"
}

cmd_bench() {
  install_packages build run
  build_targets release
  [ -e tests/bench/run.py ] || die "tests/bench/run.py does not exist"
  exec python3 tests/bench/run.py "$@"
}
