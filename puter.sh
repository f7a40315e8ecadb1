#!/usr/bin/env bash
# BAT OS: sets itself up, starts the watchdog and the kernel, opens the Architect's prompt.
# Everything that is in place is skipped; what this script itself says goes to standard error.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VENV=$HERE/.venv
PY=$VENV/bin/python
STAMP=$VENV/.batos-stamp
WATCHDOG=$HERE/min_watchdog_service.py
release= # the release that an upgrade made and that serves; empty: this folder
READY_SECONDS=300 # the most that a first awakening may take here; the watchdog has its own patience
MANY_FAILURES=3

command=open
stay=no
client_args=()
rest=()
started= # the watchdog that this launcher started
watched= # the watchdog that is waited for
last_line=

usage() {
  cat <<'TEXT'
usage: ./puter.sh [--stay] [--json] [--mission TEXT]…
       ./puter.sh test [PYTEST ARGUMENT]… | stop | status | doctor

Without a command: sets up what is missing, starts BAT OS and opens the prompt.
Leaving the prompt stops what was started here.

  --mission TEXT  run one mission instead of the prompt; may be given several times
  --json          print events as JSON lines
  --stay          leave the system running
  test            everything to pass the tests on a fresh machine, then linters and tests
  stop, status    of the system in BATOS_HOME (default: the current folder)
  doctor          look at what the machine has and lacks

Environment: BATOS_HOME, BATOS_INSTALL=light (without torch), BATOS_PYTHON (the interpreter
to build the environment with), and every setting of docs/settings.md.
TEXT
}

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$1"
  exit "${2:-1}"
}

parse() {
  case ${1-} in
    test | stop | status | doctor)
      command=$1
      shift
      rest=("$@")
      return
      ;;
  esac
  while (($#)); do
    case $1 in
      -h | --help | help) usage && exit 0 ;;
      --stay) stay=yes ;;
      --json) client_args+=(--json) ;;
      --mission)
        (($# > 1)) || die "--mission needs a text" 2
        client_args+=(--mission "$2")
        shift
        ;;
      --mission=*) client_args+=(--mission "${1#--mission=}") ;;
      *)
        usage >&2
        die "unknown argument: $1" 2
        ;;
    esac
    shift
  done
}

# ---- the environment ----

# The newest Python from 3.11 on that can make environments; shims of inactive versions fail and are passed over.
find_python() {
  local candidate
  for candidate in "${BATOS_PYTHON:-python3.14}" python3.14 python3.13 python3.12 python3.11 python3 python \
    "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[1-4]*/bin/python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "BAT OS needs Python 3.11 or newer with the venv module. Install it (on Debian and Ubuntu: python3 python3-venv), or name one in BATOS_PYTHON."
}

fingerprint() { { printf '%s\n' "$HERE" && cat "$HERE/pyproject.toml" "$HERE/constraints.txt"; } | cksum; }

# Whether the environment holds these extras of exactly these project files.
in_place() {
  local print extras wanted
  [[ -x $PY && -f $STAMP ]] || return 1
  { read -r print && read -r extras; } <"$STAMP" || return 1
  [[ $print == "$(fingerprint)" ]] || return 1
  for wanted in "$@"; do
    [[ " $extras " == *" $wanted "* ]] || return 1
  done
}

install_mode() {
  case ${BATOS_INSTALL:-full} in
    full) printf 'full\n' ;;
    light) ;;
    *) die "BATOS_INSTALL is '$BATOS_INSTALL'; it may be full or light" 2 ;;
  esac
}

# setup EXTRA…: makes .venv and installs BAT OS with these extras.
setup() {
  local python mode wanted="$*" plan=()
  mode=$(install_mode)
  [[ -z $mode ]] || wanted="$mode${wanted:+ $wanted}"
  # shellcheck disable=SC2086 # the extras are words
  in_place $wanted && return
  python=$(find_python)
  [[ -n $mode ]] || plan+=(--light)
  [[ $command != test ]] || plan+=(--models "${TEST_WEIGHTS[@]}")
  (cd "$HERE" && "$python" -m batos.operator.plan ${plan[@]+"${plan[@]}"}) ||
    [[ -n ${BATOS_SKIP_CHECKS:-} ]] || die "
BAT OS cannot be set up yet. (BATOS_SKIP_CHECKS=1 tries all the same.)"
  say ""
  say "[1/3] environment: $VENV ($("$python" -V 2>&1))"
  if ! "$PY" -c pass 2>/dev/null; then
    "$python" -m venv --clear "$VENV" >&2
  fi
  rm -f "$STAMP"
  say "[2/3] llama-cpp-python"
  build_llama
  say "[3/3] packages"
  if ! (cd "$HERE" && pip_install -e ".${wanted:+[${wanted// /,}]}") 2>&1 | tee "$VENV/install.log" | show_build; then
    tail -n 15 "$VENV/install.log" >&2
    die "The packages could not be installed; pip's whole output is in $VENV/install.log."
  fi
  { fingerprint && printf '%s\n' "$wanted"; } >"$STAMP"
  say "The environment is in place."
}

pip_install() { "$PY" -m pip install --no-input --disable-pip-version-check -c "$HERE/constraints.txt" "$@"; }

# The one package that is compiled: its build says how far it is in lines like [12/180], which are shown as one line.
# Its AMX code is left out: GCC 12 takes stores away that it needs, and it crashes on every processor that has AMX.
build_llama() {
  local log=$VENV/llama-build.log jobs no_amx='-U__AMX_TILE__ -U__AMX_INT8__ -U__AMX_BF16__'
  jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
  export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$jobs}
  if ! CFLAGS="${CFLAGS:-} $no_amx" CXXFLAGS="${CXXFLAGS:-} $no_amx" pip_install -v llama-cpp-python 2>&1 | tee "$log" | show_build; then
    grep -nE 'error|Error|not found' "$log" | tail -n 15 >&2 || true
    die "llama-cpp-python could not be built; the whole output is in $log. \`./puter.sh doctor\` tells what is missing."
  fi
}

# Shows pip's output, and a build's in it, as one line that is rewritten on a terminal, and as a line now and then elsewhere.
show_build() {
  local line part='' text='' shown='' done_=0 total=0 began=$SECONDS tick=()
  if [[ -t 2 ]] && ((BASH_VERSINFO[0] >= 4)); then tick=(-t 1); fi # so that the seconds go on between two files
  while true; do
    if IFS= read -r ${tick[@]+"${tick[@]}"} line; then
      line=$part$line part=
    elif (($? > 128)); then
      part=$part$line line=
    else
      break
    fi
    if [[ $line =~ \[\ *([0-9]+)/([0-9]+)\]\  ]]; then
      done_=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
      [[ -t 2 ]] || ((done_ % 20 == 0 || done_ == total)) || continue
    elif [[ $line =~ ^\ *(Collecting\ |Downloading\ |Using\ cached\ |Building\ wheel|Installing\ collected|ERROR) ]]; then
      text=${line#"${line%%[! ]*}"} total=0
    fi
    ((total == 0)) || text="compiling llama.cpp: $done_ of $total, $((SECONDS - began)) s"
    [[ -n $text && $text != "$shown" ]] || continue
    shown=$text
    if [[ -t 2 ]]; then printf '\r\033[K  %s' "${text:0:76}" >&2; else say "  ${text:0:100}"; fi
  done
  [[ ! -t 2 ]] || printf '\r\033[K' >&2
}

# ---- the weights ----

TEST_WEIGHTS=(qwen2.5-coder-0.5b smollm2-135m)

# What the choice of weights depends on; the stamp's other lines are the files that must be there.
weights_key() {
  printf '%s|' "${BATOS_ENGINE:-}" "${BATOS_PERSONA_MODELS:-}" "${BATOS_DEFAULT_PERSONA_MODEL:-}" \
    "${BATOS_WEIGHTS_CACHE:-}" "${LLAMA_MODEL_PATH:-}" "${BATOS_LLAMA_MODEL_PATH:-}" "${XDG_CACHE_HOME:-}"
  if [[ -f $BATOS_HOME/batos.toml ]]; then cksum <"$BATOS_HOME/batos.toml"; else echo; fi
}

weights_in_place() {
  local stamp=$1 key file
  [[ -f $stamp ]] || return 1
  {
    read -r key
    [[ $key == "$(weights_key)" ]] || return 1
    while IFS= read -r file; do
      [[ -e $file ]] || return 1
    done
  } <"$stamp"
}

get_weights() {
  local stamp=$BATOS_HOME/run/weights.stamp files
  case ${BATOS_ENGINE:-} in scripted:* | openai) return ;; esac
  weights_in_place "$stamp" && return
  if files=$("$PY" -m batos models fetch --paths); then
    { weights_key && printf '%s' "${files:+$files$'\n'}"; } >"$stamp"
  else
    say "The weights are not all here; BAT OS starts without them and tries again by itself."
  fi
}

# ---- the system ----

status_field() {
  sed -n "s/^ \"$1\": \"\{0,1\}\(.*[^\",]\)\"\{0,1\},\{0,1\}\$/\1/p" "$BATOS_HOME/run/watchdog.json" 2>/dev/null || true
}

# Whether the watchdog of run/watchdog.json lives.
watchdog_lives() {
  local pid
  pid=$(status_field pid)
  [[ -n $pid ]] && kill -0 "$pid" 2>/dev/null && [[ $(ps -o command= -p "$pid" 2>/dev/null) == *min_watchdog_service* ]]
}

start_system() {
  if watchdog_lives; then
    say "BAT OS already runs here; it is used."
    watched=$(status_field pid)
    return
  fi
  last_line=$(tail -n 1 "$BATOS_HOME/run/kernel.log" 2>/dev/null) || true
  "$PY" "$WATCHDOG" --background </dev/null >"$BATOS_HOME/run/watchdog.out" 2>&1 &
  started=$!
  watched=$started
}

# Waits until the kernel answered a ping, showing what it prints meanwhile.
wait_for_kernel() {
  local pid=$1 began=$SECONDS state failures
  while kill -0 "$pid" 2>/dev/null; do
    if [[ $(status_field pid) == "$pid" ]]; then
      state=$(status_field state)
      case $state in
        serving) return ;;
        refused) die "$(status_field message)
$(tail -n 2 "$BATOS_HOME/run/kernel.log")" 2 ;;
      esac
      failures=$(status_field failures)
      [[ $state == upgrading ]] || ((${failures:-0} < MANY_FAILURES)) ||
        die "The kernel does not stay up: $(status_field message)
$(tail -n 15 "$BATOS_HOME/run/kernel.log")" 2
      show_kernel_line
    fi
    ((SECONDS - began < READY_SECONDS)) || die "The kernel did not answer within $READY_SECONDS s; see $BATOS_HOME/run/kernel.log" 2
    sleep 0.05
  done
  die "The watchdog ended: $(tail -n 5 "$BATOS_HOME/run/watchdog.out" 2>/dev/null)" 2
}

show_kernel_line() {
  local line
  line=$(tail -n 1 "$BATOS_HOME/run/kernel.log" 2>/dev/null) || return 0
  [[ -n $line && $line != "$last_line" ]] || return 0
  last_line=$line
  say "  $line"
}

leave() {
  local code=$?
  trap - EXIT INT TERM HUP
  if [[ -n $started && ($stay == no || $code -eq 2) ]] && kill -TERM "$started" 2>/dev/null; then
    say "BAT OS stops; the image stays."
    wait "$started" || true
  elif [[ -n $started ]]; then
    say "BAT OS stays: \`./puter.sh stop\` ends it."
  fi
  exit "$code"
}

open_client() {
  local code=0
  trap leave EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  start_system
  trap ':' INT # the client hears Ctrl-C itself
  # It loads while the kernel starts, and opens when it reads `go`.
  "$PY" -m batos.client.gate ${client_args[@]+"${client_args[@]}"} 3< <(wait_for_kernel "$watched" && echo go) || code=$?
  exit "$code"
}

# ---- the tests ----

run_tests() {
  local failed=()
  setup dev
  "$PY" -m batos models fetch "${TEST_WEIGHTS[@]}" >&2 || die "The weights for the tests could not be fetched."
  cd "$HERE"
  step "ruff check" -m ruff check .
  step "ruff format" -m ruff format --check .
  step "mypy" -m mypy
  step "interrogate" -m interrogate -q batos
  # A test that never comes back from native code, where its time-out cannot reach it, ends the run instead of holding it.
  step "pytest" -m pytest -q --session-timeout=1800 -o faulthandler_timeout=660 -o faulthandler_exit_on_timeout=true "$@"
  ((${#failed[@]} == 0)) || die "Failed: ${failed[*]}"
  say "All green."
}

step() {
  local name=$1
  shift
  say "== $name"
  "$PY" "$@" || failed+=("$name")
}

# After an upgrade with steps the code that serves lies under BATOS_HOME/releases, with an environment of its own.
find_release() {
  local current=$BATOS_HOME/releases/current
  [[ $command != test && -x $current/.venv/bin/python && -f $current/batos.py ]] || return 0
  release=$(cd "$current" && pwd -P)
  PY=$release/.venv/bin/python
  WATCHDOG=$release/min_watchdog_service.py
  cd "$release" # so that `-m batos` is the release's
}

parse "$@"
export BATOS_HOME=${BATOS_HOME:-$PWD}
mkdir -p "$BATOS_HOME/run"
BATOS_HOME=$(cd "$BATOS_HOME" && pwd)
find_release

case $command in
  test)
    run_tests ${rest[@]+"${rest[@]}"}
    exit # bash reads on in this file, which may have changed meanwhile
    ;;
  stop)
    [[ -x $PY ]] || die "BAT OS is not set up here, so nothing runs." 0
    exec "$PY" "$WATCHDOG" --stop
    ;;
  status)
    [[ -x $PY ]] || die "BAT OS is not set up here; ./puter.sh does that." 1
    exec "$PY" -m batos status ${rest[@]+"${rest[@]}"}
    ;;
  doctor)
    if [[ -x $PY ]] && "$PY" -c 'import batos.settings' 2>/dev/null; then
      exec "$PY" -m batos doctor ${rest[@]+"${rest[@]}"}
    fi
    python=$(find_python)
    cd "$HERE"
    exec "$python" -m batos.operator.plan
    ;;
  open)
    if [[ -n $release ]]; then say "BAT OS runs from the release $release."; else setup; fi
    get_weights
    open_client
    ;;
esac
