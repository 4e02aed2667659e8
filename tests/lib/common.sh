# SPDX-License-Identifier: Apache-2.0
# common.sh - ground for tests that mount; sourced by bash scripts.
#
#   . tests/lib/common.sh     makes $T, an empty directory that is removed at the end, and undoes
#                             everything below on every exit, by the process ids it has noted itself
#   service_start [ARG...]    starts obs-local (bucket "bkt", keys in $T/keys); sets $OBS_URL,
#                             $OBS_PORT, $OBS_PID. Further ARGs go to obs-local
#   service_stop              stops it; the data stay in $T/data
#   mnt SOURCE DIR [OPTS]     mounts with endpoint, keys, state and log set; OPTS are added to -o
#   umnt DIR                  unmounts and waits for the driver
#   driver_pid DIR            process id of the driver that serves DIR
#   counters [OP]             requests of one operation so far (0 if none), without OP: of all
#   counters_reset
#   run_limited SECONDS CMD.. CMD with a limit in time
#   check "WHAT" CMD...       runs CMD; the test fails with WHAT if it fails
#   check_eq "WHAT" GOT EXPECTED
#   fails ERRNO-TEXT CMD...   CMD must fail and say the text
#   skip REASON, fail REASON  end the test (77, 1)
#
# Binaries come from $OBSM_BUILD, the build directory (default build/debug).
set -u

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OBSM_BUILD=${OBSM_BUILD:-$top/build/debug}
OBSMOUNT=$OBSM_BUILD/fs/obsmount
OBSLOCAL=$OBSM_BUILD/tests/obs-local/obs-local
STEP_LIMIT=${STEP_LIMIT:-60} # seconds for one mount or unmount
OBS_PID=
mounted=()
T=

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "FAILED: $*" >&2
    local log
    for log in "$T"/*.log; do
        [ -s "$log" ] || continue
        echo "--- the end of ${log##*/}" >&2
        tail -n 15 "$log" >&2
    done
    exit 1
}

check() {
    local what=$1
    shift
    "$@" || fail "$what: $* (exit status $?)"
}

check_eq() {
    [ "$2" = "$3" ] || fail "$1: got '$2', expected '$3'"
}

fails() {
    local text=$1 out
    shift
    if out=$("$@" 2>&1); then
        fail "expected a failure with '$text' of: $*"
    fi
    case $out in
    *"$text"*) ;;
    *) fail "expected '$text' from '$*', got: $out" ;;
    esac
}

run_limited() {
    timeout --kill-after=5 "$@"
}

# A process that has ended may still stand there as a zombie until somebody collects it.
is_gone() { # PID
    case $(cat "/proc/$1/stat" 2>/dev/null) in
    "" | *") Z "*) return 0 ;;
    esac
    return 1
}

wait_gone() { # PID SECONDS
    local i
    for ((i = 0; i < $2 * 20; i++)); do
        ! is_gone "$1" || return 0
        sleep 0.05
    done
    return 1
}

# Returns as soon as COMMAND is true.
wait_until() {
    local i
    for ((i = 0; i < 300; i++)); do
        ! "$@" || return 0
        sleep 0.1
    done
    fail "waited in vain for: $*"
}

# Has each of the faults that were set come at least once?
faults_have_come() {
    python3 -c 'import json, sys, urllib.request
rules = json.load(urllib.request.urlopen(sys.argv[1] + "/-/faults"))
sys.exit("\"fired\": 0" in json.dumps(rules))' "$OBS_URL"
}

service_start() {
    [ -x "$OBSLOCAL" ] || fail "$OBSLOCAL is not built"
    mkdir -p "$T/data"
    [ -s "$T/keys" ] || (umask 077 && echo "testaccesskey:testsecretkey" >"$T/keys")
    : >"$T/service.log"
    # exec: $! is the service itself
    (exec "$OBSLOCAL" --data "$T/data" --listen "127.0.0.1:${OBS_PORT:-0}" \
        --credential-file "$T/keys" --bucket bkt "$@" >"$T/service.log" 2>&1) &
    OBS_PID=$!
    local i
    for ((i = 0; i < 200; i++)); do
        OBS_URL=$(sed -n 's/^obs-local: listening on //p' "$T/service.log")
        [ -z "$OBS_URL" ] || break
        kill -0 "$OBS_PID" 2>/dev/null || fail "obs-local ended at once"
        sleep 0.05
    done
    [ -n "$OBS_URL" ] || fail "obs-local did not get ready"
    OBS_PORT=${OBS_URL##*:}
    OBS_PORT=${OBS_PORT%/}
}

service_stop() {
    [ -n "$OBS_PID" ] || return 0
    kill "$OBS_PID" 2>/dev/null
    wait_gone "$OBS_PID" 10 || kill -9 "$OBS_PID" 2>/dev/null
    wait "$OBS_PID" 2>/dev/null
    OBS_PID=
}

# The options that every mount of a test has.
base_options() {
    echo "endpoint=$OBS_URL,credential_file=$T/keys,state_dir=$T/state,log_file=$T/mount.log"
}

mnt() {
    local source=$1 dir=$2 options=${3:-}
    mkdir -p "$dir"
    mounted+=("$dir")
    run_limited "$STEP_LIMIT" "$OBSMOUNT" "$source" "$dir" -o "$(base_options)${options:+,$options}"
}

driver_pid() {
    local dev
    dev=$(awk -v dir="$1" '$5 == dir { dev = $3 } END { print dev }' /proc/self/mountinfo)
    if [ "$(id -u)" -eq 0 ]; then
        awk 'NR == 1 { print $1 }' "/run/obsmount/$dev" 2>/dev/null
    else
        awk 'NR == 1 { print $1 }' "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/obsmount/$dev" 2>/dev/null
    fi
}

umnt() {
    [ -e "$T/umount.obsmount" ] || ln -s "$OBSMOUNT" "$T/umount.obsmount"
    run_limited "$STEP_LIMIT" "$T/umount.obsmount" "$1"
}

# service_request METHOD PATH: an administrative request to obs-local, answer on stdout
service_request() {
    python3 - "$OBS_PORT" "$1" "$2" <<'PY'
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
c.request(sys.argv[2], sys.argv[3])
sys.stdout.write(c.getresponse().read().decode())
PY
}

counters() {
    service_request GET /-/requests | python3 -c '
import json, sys
stats = json.load(sys.stdin)
op = sys.argv[1] if len(sys.argv) > 1 else None
print((stats["operations"].get(op) or {"count": 0})["count"] if op else stats["total"]["count"])
' "$@"
}

counters_reset() {
    service_request POST /-/reset >/dev/null
}

clean_up() {
    local status=$? dir pid
    trap - EXIT INT TERM HUP
    cd / || true
    for dir in "${mounted[@]}"; do
        grep -q " $dir fuse" /proc/self/mounts || continue
        pid=$(driver_pid "$dir")
        umount -i "$dir" 2>/dev/null || umount -i -l "$dir" 2>/dev/null ||
            fusermount3 -u -z "$dir" 2>/dev/null
        [ -z "$pid" ] || wait_gone "$pid" 20 || kill -9 "$pid" 2>/dev/null
    done
    service_stop
    [ -z "$T" ] || rm -rf --one-file-system "$T"
    exit "$status"
}

[ -e /dev/fuse ] || skip "there is no /dev/fuse"
[ "$(id -u)" -eq 0 ] || skip "this test mounts: it needs root"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
T=$(mktemp -d "${OBSM_TEST_DIR:-/var/tmp}/obsmount-test.XXXXXX")
