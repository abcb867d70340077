# test: installs, builds, runs; says what did not run (a suite that cannot run prints it, tests/support/not_run.py).

# cmd_test [--preset NAME] [SUITE...]: a suite is a label of ctest.
cmd_test() {
  local status=0 labels= suite preset=dev suites=()
  while [ $# -gt 0 ]; do
    case $1 in
      --preset) preset=${2:?--preset needs a name}; shift 2 ;;
      --preset=*) preset=${1#*=}; shift ;;
      *) suites+=("$1"); shift ;;
    esac
  done
  check_preset "$preset"
  for suite in "${suites[@]}"; do
    case $suite in
      unit | integration | protocol | e2e | fault | bench | chart | cluster) labels+="${labels:+|}^$suite\$" ;;
      versions)
        labels+="${labels:+|}^$suite\$"
        export MERPATI_REQUIRE=${MERPATI_REQUIRE:+$MERPATI_REQUIRE,}versions
        ;;
      containers)
        labels+="${labels:+|}^$suite\$"
        export MERPATI_REQUIRE=${MERPATI_REQUIRE:+$MERPATI_REQUIRE,}containers
        install_packages image containers
        ;;
      *) die "unknown suite \"$suite\": unit integration protocol e2e fault versions containers chart cluster" ;;
    esac
  done
  if [ "${suites[*]}" = unit ]; then install_packages build run; else install_packages build run test; fi
  # shellcheck disable=SC2046
  build_targets "$preset" $([ "${suites[*]}" != containers ] || echo merpati merpatictl)
  # Tests that start an instance take this build, which has fail points.
  export MERPATI_PRESET=$preset
  ctest --test-dir "build/$preset" --output-on-failure ${labels:+-L "$labels"} || status=1
  grep -rhs '^NOT RUN' "build/$preset/Testing/Temporary/LastTest.log" | sort -u || true
  return $status
}
