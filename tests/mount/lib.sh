# SPDX-License-Identifier: Apache-2.0
# lib.sh - ground for the tests of a mounted bucket; sourced, after the cases are defined.
#
# A file of tests defines functions t_NAME; each is one behaviour, one ctest, and runs alone:
#
#   tests/mount/FILE.sh NAME [obs|s3]     one case (dialect obs)
#   tests/mount/FILE.sh                   lists them
#
# CMakeLists.txt finds them by the line that opens the function. A comment on that line says how to
# run it: "s3" (in dialect s3 too; "s3-long": there only among the long tests), "long",
# "timeout=SECONDS".
#
# When a case begins, obs-local runs with an empty bucket "bkt", mounted at $M; $T is for other files.
# Cases that want something else are named tx_NAME, and begin with nothing but $T.
# When it ends: each driver that the case has left mounted must be alive, unmounts, leaves by itself,
# no sanitizer has reported anything, and each EIO has a reason in the log.
#
#   mounted_with [OPTS]    mounts at $M
#   remount [OPTS]         unmounts and mounts again
#   drop_pages [OPTS]      drops what the kernel and the driver may still know, by a remount
#   oc COMMAND...          tests/lib/obsclient.py on the bucket
#   requests [OP]...       how many requests of these operations since the last oc reset
#   puts_copies_deletes    "PUTS COPIES DELETES" since then
#   part_size              bytes of a part here: the smallest of the dialect that is quick to test
#   make_file PATH SIZE    random content
#   stored_etag KEY        ETag in the bucket
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dialect=obs
part_size=1048576

oc() {
    OBS_PORT=$OBS_PORT OBS_KEYS=$T/keys python3 "$top/tests/lib/obsclient.py" "$@"
}

requests() { oc requests "$@"; }

puts_copies_deletes() {
    echo "$(requests PutObject UploadPart InitiateMultipartUpload CompleteMultipartUpload)" \
        "$(requests CopyObject CopyPart)" "$(requests DeleteObject DeleteObjects)"
}

make_file() { head -c "$2" /dev/urandom >"$1"; }

stored_etag() { oc list "$1" | awk -F '\t' -v key="$1" '$1 == key { print $3 }'; }

# The driver of $M dies; the mount point is free again.
kill_driver() {
    kill -9 "$driver"
    wait_gone "$driver" 10 || fail "the driver lives on"
    umount -l "$M" || fail "umount of a dead mount"
}

mounted_with() {
    # virtual-host style for obs (curl knows *.localhost), path style for s3
    local host=localhost
    [ "$dialect" = obs ] || host=127.0.0.1
    mnt bkt "$M" "endpoint=http://$host:$OBS_PORT,dialect=$dialect,log_level=debug,part_size=$part_size${1:+,$1}" ||
        fail "the bucket cannot be mounted"
    driver=$(driver_pid "$M")
    [ -n "$driver" ] || fail "no driver is known for $M"
    echo "$driver" >>"$T/drivers"
}

# A process that waits for a stuck driver cannot be ended; its driver can. After the limit the drivers
# of this case are killed, so that the case fails instead of hanging.
watch() { # SECONDS
    (
        for ((i = 0; i < $1; i++)); do
            sleep 1
            [ -d "$T" ] && kill -0 $$ || exit 0
        done
        echo "the case takes more than $1 s: its drivers are killed" >>"$T/watch.log"
        while read -r pid; do
            [ "$(readlink "/proc/$pid/exe")" != "$(realpath "$OBSMOUNT")" ] || kill -9 "$pid"
        done <"$T/drivers"
    ) >/dev/null 2>&1 &
}

leave() {
    driver=$(driver_pid "$M")
    check "the driver is alive" kill -0 "$driver"
    check "umount" umnt "$M"
    wait_gone "$driver" 10 || fail "the driver is there after umount"
}

remount() {
    leave
    mounted_with "$@"
}

drop_pages() { remount "$@"; }

sanitizers_are_silent() {
    local report
    for report in "$T"/san.*; do
        [ -e "$report" ] || continue
        cat "$report" >&2
        fail "a sanitizer has reported"
    done
}

# Each line of the log that says EIO must say why.
eio_has_reasons() {
    local lines
    lines=$(grep -E 'Input/output error$|\bEIO$' "$T/mount.log" 2>/dev/null | grep -vE ': .*: ' | head -n 3)
    [ -z "$lines" ] || fail "EIO without a reason in the log: $lines"
}

settle() {
    local dir
    cd /
    for dir in "${mounted[@]}"; do
        grep -q " $dir fuse.obsmount " /proc/self/mounts || continue
        driver=$(driver_pid "$dir")
        check "the driver of $dir answers" run_limited 20 stat -f "$dir" >/dev/null
        check "the driver of $dir is alive" kill -0 "$driver"
        check "umount $dir" umnt "$dir"
        wait_gone "$driver" 20 || fail "the driver is there after umount"
    done
    sanitizers_are_silent
    eio_has_reasons
}

run_case() {
    local name=$1
    dialect=${2:-obs}
    [ "$dialect" = obs ] || part_size=5242880
    M=$T/m
    watch "${CASE_LIMIT:-100}"
    # the driver is a daemon: its reports go to files
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$T/san"
    export UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$T/san"
    export TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$T/san"
    export LC_ALL=C.UTF-8
    if declare -F "tx_$name" >/dev/null; then
        "tx_$name"
    else
        declare -F "t_$name" >/dev/null || fail "there is no case '$name'"
        service_start
        mounted_with
        "t_$name"
    fi
    settle
    echo "passed: $name ($dialect)"
}

if [ $# -eq 0 ]; then
    declare -F | sed -nE 's/^declare -f tx?_//p'
else
    run_case "$@"
fi
