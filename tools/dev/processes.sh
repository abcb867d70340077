# Programs of an instance: start, are they alive, stop. A pid file holds the pid and the start time, so that a reused pid
# is never taken for ours.

# Nothing for a process that has ended and that its parent has not waited for.
start_time() { awk '$3 != "Z" { print $22 }' "/proc/$1/stat" 2>/dev/null; }
pid_of() {
  local pid started
  read -r pid started 2>/dev/null <"$STATE/run/$1.pid" || return 1
  [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] && echo "$pid"
}
alive() { pid_of "$1" >/dev/null; }
some_alive() {
  local name
  for name in merpati "${SERVICES[@]}"; do alive "$name" && return; done
  return 1
}

# start_process NAME COMMAND...: in a session of its own, so that Ctrl-C reaches only ./dev, which stops it in order.
start_process() {
  local name=$1 pid
  shift
  alive "$name" && return
  setsid "$@" >>"$STATE/logs/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  echo "$pid $(start_time $pid)" >"$STATE/run/$name.pid"
}

# ready NAME PORT: 0 ready, 1 not yet; ends ./dev when the process is gone.
ready() {
  alive "$1" || {
    tail -n 15 "$STATE/logs/$1.log" >&2
    die "$1 ended at its start; its log is $STATE/logs/$1.log"
  }
  curl -sf -o /dev/null --max-time 2 "http://127.0.0.1:$2/readyz"
}

await_ready() {
  wait_until 60 ready "$1" "$2" || {
    tail -n 15 "$STATE/logs/$1.log" >&2
    die "$1 is not ready after $((60 * $(patience))) s; its log is $STATE/logs/$1.log"
  }
}

gone() { ! alive "$1"; }

# stop_processes NAME...: all get SIGTERM at once, then SIGKILL after the grace period.
stop_processes() {
  local name pid
  for name in "$@"; do
    pid=$(pid_of "$name") && kill -TERM "$pid" 2>/dev/null
  done
  for name in "$@"; do
    wait_until 30 gone "$name" || {
      say "$name did not stop in $((30 * $(patience))) s; killing it"
      pid=$(pid_of "$name") && kill -KILL "$pid" 2>/dev/null
    }
    rm -f "$STATE/run/$name.pid"
  done
  return 0
}
