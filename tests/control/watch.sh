#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# watch.sh - obsmount --uploads, --uploads --watch, --drain, and what the umount helper says.

slow() { oc faults '[{"operation":"*","key":"slow*","count":-1,"rate":'"$1"'}]'; }

until_uploads() { # TEXT: until --uploads shows it
    local i
    for ((i = 0; i < 400; i++)); do
        ! "$OBSMOUNT" --uploads "$M" 2>/dev/null | grep -q -- "$1" || return 0
        sleep 0.05
    done
    fail "--uploads does not show '$1': $("$OBSMOUNT" --uploads "$M" 2>&1)"
}

# exits CODE TEXT ARG...: obsmount ARG... ends with CODE and says TEXT
exits() {
    local code=$1 text=$2 out got=0
    shift 2
    out=$(run_limited 60 "$OBSMOUNT" "$@" 2>&1) || got=$?
    check_eq "exit code of $* ($out)" "$got" "$code"
    case $out in
    *"$text"*) ;;
    *) fail "expected '$text' from $*, got: $out" ;;
    esac
}

t_nothing_to_show() {
    check_eq "--uploads" "$("$OBSMOUNT" --uploads "$M")" ""
    check_eq "--uploads --watch" "$("$OBSMOUNT" --uploads --watch "$M")" ""
    check_eq "--drain" "$("$OBSMOUNT" --drain "$M" 2>&1)" ""
    mkdir "$M/d"
    check_eq "another spelling" "$(cd "$M/d" && "$OBSMOUNT" --drain ../d/.. 2>&1)" ""
}

# A name of a bucket of its own: other tests mount theirs at the same time.
tx_which_mount() {
    local bucket=watch-$$
    service_start --bucket "$bucket"
    mounted_with

    exits 1 "belongs to --uploads" --drain --watch "$M"
    exits 1 "expected one mount point" --uploads
    exits 1 "expected one mount point" --drain "$M" "$M"
    exits 32 "neither a mount point nor a mounted bucket" --uploads "$T"
    exits 32 "neither a mount point nor a mounted bucket" --drain nobodys-bucket
    exits 32 "not one of obsmount" --uploads /proc
    mnt "$bucket" "$T/m1" || fail "a mount"
    exits 0 "" --drain "$bucket"
    mnt "$bucket:/sub" "$T/m2" control_dir=none || fail "a second mount"
    exits 32 "mounted more than once, name one: '$T/m1', '$T/m2'" --uploads "$bucket"
    exits 32 "control_dir=none" --drain "$T/m2"
    exits 0 "" --drain "$T/m1"
    umnt "$T/m2" || fail "umount"
    mnt "$bucket:/sub" "$T/m2" control_dir=_ctl || fail "another name"
    exits 0 "" --uploads "$T/m2"
}

tx_dead_driver() {
    service_start
    mounted_with
    kill -9 "$driver"
    wait_gone "$driver" 10
    exits 32 "has died: run 'umount -l $M'" --drain "$M"
    umount -i -l "$M"
}

# A file that is held for its rename keeps the watch alive until `drain` stores it.
held() {
    python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
os.write(fd, b"held")
os.close(fd)' "$M/.h.AbC123"
    until_uploads held
}

until_grep() { # PATTERN FILE
    local i
    for ((i = 0; i < 400; i++)); do
        ! grep -qs -- "$1" "$2" || return 0
        sleep 0.05
    done
    fail "'$1' does not come: $(tail -n 5 "$2")"
}

copy_slowly() {
    make_file "$T/f" $((8 * part_size))
    slow 500000
    check "cp" cp "$T/f" "$M/slow"
    oc faults '[]'
}

tx_bars_on_a_terminal() {
    service_start
    mounted_with hold_max=1h
    held
    python3 - "$OBSMOUNT" "$M" >"$T/bars" 2>&1 <<'PY' &
import os, pty, sys
status = pty.spawn([sys.argv[1], "--uploads", "--watch", sys.argv[2]])
sys.exit(os.waitstatus_to_exitcode(status))
PY
    local pid=$!
    until_grep "$M: 1 upload, 4 B to go" "$T/bars"
    until_grep $'\033\\[2A' "$T/bars" # drawn again at the same place
    copy_slowly
    check "bars" grep -qE '^\[#*\.*\] +[0-9]+% +[0-9.]+ [KMi]*B/8.0 MiB .*/s .* /slow' "$T/bars"
    check "drain" bash -c "echo drain >$M/.obsmount/ctl"
    check "the watch ends" wait "$pid"
    check "at last nothing" grep -q "$M: 0 uploads" "$T/bars"
}

tx_lines_into_a_file() {
    service_start
    mounted_with hold_max=1h
    held
    "$OBSMOUNT" --uploads --watch "$M" >"$T/lines" &
    local pid=$!
    until_grep '  held  /.h.AbC123$' "$T/lines"
    copy_slowly
    check "drain" bash -c "echo drain >$M/.obsmount/ctl"
    check "the watch ends" wait "$pid"
    check "lines of the copy" grep -q ' of 8.0 MiB .*  uploading  /slow$' "$T/lines"
    check_eq "what is no line of an upload" "$(grep -cvE '^ *([0-9]+|-)%  [0-9.]+ [KMi]*B of ([0-9.]+ [KMi]*B|-)  ([0-9.]+ [KMi]*B|-)/s  ETA [0-9:-]+  [a-z]+  /(slow|.h.AbC123)$' "$T/lines")" 0
    check_eq "an unchanged row is told once" "$(grep -c '  held  ' "$T/lines")" 1
}

t_watch_ends_at_failures() {
    oc faults '[{"operation":"PutObject","key":"bad","count":-1,"status":403,"code":"AccessDenied"}]'
    echo x >"$T/x"
    fails "ermission denied" cp "$T/x" "$M/bad"
    exits 0 "failed  /bad  (EACCES AccessDenied" --uploads "$M"
    exits 32 "1 upload is failed" --uploads --watch "$M"
    exits 32 "not stored: '/bad' (failed: EACCES AccessDenied" --drain "$M"
    oc faults '[]'
}

# A closed file that is paused: the writer was told that its close() was interrupted.
paused() {
    make_file "$T/f" $((6 * part_size))
    slow 300000
    python3 - "$T/f" "$M/slow" <<'PY' &
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
with open(sys.argv[2], "wb") as f:
    f.write(open(sys.argv[1], "rb").read())
PY
    local pid=$!
    until_uploads 'uploading  /slow'
    id=$(awk '$NF == "/slow" { print $1 }' "$M/.obsmount/uploads")
    echo "pause $id" >"$M/.obsmount/ctl"
    until_uploads 'paused  /slow'
    kill -INT "$pid"
    wait "$pid"
    oc faults '[]'
}

# What waits for a command is not waited for, and is no success.
tx_paused_is_not_stored() {
    local id
    service_start
    mounted_with
    paused
    exits 32 "not stored: '/slow' (paused)" --drain "$M"
    fails "resource busy" bash -c "exec 2>&1; echo drain >$M/.obsmount/ctl"
    check "says which" grep -q 'not stored: .*/slow.*(paused)' "$M/.obsmount/errors"
    echo "retried" >"$T/x"
    oc faults '[{"operation":"PutObject","key":"bad","count":-1,"status":403,"code":"AccessDenied"}]'
    fails "ermission denied" cp "$T/x" "$M/bad"
    fails "nput/output error" bash -c "exec 2>&1; echo drain >$M/.obsmount/ctl"
    check "says both" grep -q 'not stored: .*/bad.*(failed)' "$M/.obsmount/errors"
    oc faults '[]'

    driver=$(driver_pid "$M")
    umnt "$M" 2>"$T/umount.out" || fail "umount"
    check "umount says it" grep -q "'$M' is unmounted, but not stored: .*\"/slow\" (paused)" "$T/umount.out"
    check "both" grep -q '"/bad" (failed)' "$T/umount.out"
    [ ! -e "/run/obsmount/$driver.left" ] || fail "its word is left behind"
    check_eq "nothing of it" "$(stored_etag slow)" ""

    mounted_with
    until_uploads 'paused  /slow'
    echo "abort $(awk '$NF == "/bad" || $0 ~ "/bad  " { print $1 }' "$M/.obsmount/uploads")" >"$M/.obsmount/ctl"
    echo "resume $(awk '$NF == "/slow" { print $1 }' "$M/.obsmount/uploads")" >"$M/.obsmount/ctl"
    exits 0 "" --drain "$M"
    check_eq "stored" "$(stored_etag slow)" "$(oc etag "$T/f" $part_size)"
    driver=$(driver_pid "$M")
    umnt "$M" 2>"$T/umount.out" || fail "umount"
    check_eq "nothing to say" "$(cat "$T/umount.out")" ""

    # without the helper nobody reads the last word: later mounts remove it
    mounted_with
    oc faults '[{"operation":"PutObject","key":"bad","count":-1,"status":403,"code":"AccessDenied"}]'
    fails "ermission denied" cp "$T/x" "$M/bad"
    driver=$(driver_pid "$M")
    umount -i "$M"
    wait_gone "$driver" 20 || fail "the driver is there"
    check "its word" grep -q '/bad' "/run/obsmount/$driver.left"
    touch -d '2 days ago' "/run/obsmount/$driver.left"
    oc faults '[]'
    mounted_with
    [ ! -e "/run/obsmount/$driver.left" ] || fail "its word is still there"
    echo "abort $(awk '$0 ~ "/bad  " { print $1 }' "$M/.obsmount/uploads")" >"$M/.obsmount/ctl"
}

# A write to $M/slow whose request does not end until the faults are cleared; its process is $writer.
stalled() {
    oc faults '[{"operation":"PutObject","key":"slow","count":1,"stall":true}]'
    echo x >"$M/slow" &
    writer=$!
    until_uploads /slow
}

t_drain_says_what_it_waits_for() {
    stalled
    "$OBSMOUNT" --drain "$M" 2>"$T/drain.out" &
    local drain=$!
    until_grep "waiting for 1 file ([02] B to go): '/slow' ([a-z]*)$" "$T/drain.out"
    check "drain waits" kill -0 "$drain"
    oc faults '[]'
    check "drain" wait "$drain"
    check_eq "stored" "$(oc get slow)" x
    wait "$writer"
}

t_drain_can_be_interrupted() {
    stalled
    python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$OBSMOUNT" --drain "$M" 2>"$T/drain.out" &
    local drain=$!
    until_grep "'/slow'" "$T/drain.out"
    kill -INT "$drain"
    wait_gone "$drain" 10 || fail "--drain does not end"
    wait "$drain"
    check_eq "exit code" "$?" 130
    oc faults '[]'
    check "the writer" wait "$writer"
}

# After the unmount nothing can be asked any more: the driver leaves word of what it still stores.
tx_umount_says_what_it_waits_for() {
    service_start
    mounted_with durability=stage
    make_file "$T/f" $((4 * part_size))
    slow 300000
    cp "$T/f" "$M/slow"
    driver=$(driver_pid "$M")
    umnt "$M" 2>"$T/umount.out" || fail "umount"
    check "it says so" grep -q "unmounted; waiting for its driver (process $driver) to store 1 file, .*: \"/slow\" (" \
        "$T/umount.out"
    is_gone "$driver" || fail "the driver is there"
    [ ! -e "/run/obsmount/$driver.left" ] || fail "its word is left behind"
    check_eq "stored" "$(stored_etag slow)" "$(oc etag "$T/f" $part_size)"
}

. "$(dirname "$0")/../mount/lib.sh"
