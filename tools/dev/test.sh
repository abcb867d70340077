# test: installs, builds, runs; says what did not run.

# Suites that need more than Debian's archive, and what they need.
SUITES_ELSEWHERE=(
  "containers|a container runtime; the image's build comes with the chart"
)

# Prints NOT RUN for each suite of the list; fails when MERPATI_REQUIRE names one.
report_elsewhere() {
  local entry name status=0
  for entry in "${SUITES_ELSEWHERE[@]}"; do
    name=${entry%%|*}
    echo "NOT RUN $name: needs ${entry#*|}"
    case ,${MERPATI_REQUIRE:-}, in
      *,"$name",*)
        echo "FAILED $name: MERPATI_REQUIRE asks for it" >&2
        status=1
        ;;
    esac
  done
  return $status
}

# cmd_test [SUITE...]: a suite is a label of ctest.
cmd_test() {
  local status=0 labels= suite
  for suite in "$@"; do
    case $suite in
      unit | integration | protocol | e2e | fault | bench | chart | cluster) labels+="${labels:+|}^$suite\$" ;;
      containers) export MERPATI_REQUIRE=${MERPATI_REQUIRE:+$MERPATI_REQUIRE,}$suite ;;
      *) die "unknown suite \"$suite\": unit integration protocol e2e fault chart cluster" ;;
    esac
  done
  if [ "$*" = unit ]; then install_packages build run; else install_packages build run test; fi
  build_targets dev
  # Tests that start an instance take this build, which has fail points.
  export MERPATI_PRESET=dev
  report_elsewhere || status=1
  ctest --test-dir build/dev --output-on-failure ${labels:+-L "$labels"} || status=1
  grep -rhs '^NOT RUN' build/dev/Testing/Temporary/LastTest.log | sort -u || true
  return $status
}
