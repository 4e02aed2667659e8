#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cli_signals.sh - the life of the driver: background, signals, its death, the foreground.

ready() {
    service_start
    check "mount" mnt bkt "$M"
    pid=$(driver_pid "$M")
    [ -n "$pid" ] || fail "no file in /run/obsmount names the driver"
}

until_grep() { # TEXT FILE
    local i
    for ((i = 0; i < 100; i++)); do
        ! grep -q "$1" "$2" 2>/dev/null || return 0
        sleep 0.05
    done
    return 1
}

tx_background() {
    ready
    # the command has returned: the mount answers at once
    check "answer" stat -f "$M" >/dev/null
    check_eq "standard output of the driver" "$(readlink "/proc/$pid/fd/1")" /dev/null
    check_eq "directory of the driver" "$(readlink "/proc/$pid/cwd")" /
    check_eq "core limit of the driver" "$(awk '/core file/ { print $5 }' "/proc/$pid/limits")" 0
    ! tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q testsecretkey || fail "the secret is in the arguments"
    check_eq "type and source" "$(findmnt -n -o FSTYPE,SOURCE "$M" | tr -s ' ')" "fuse.obsmount bkt"
    case ,$(findmnt -n -o OPTIONS "$M"), in
    *,nosuid,nodev,*) ;;
    *) fail "nosuid and nodev are not set" ;;
    esac
}

tx_log_signals() {
    ready
    mv "$T/mount.log" "$T/mount.log.1"
    kill -HUP "$pid"
    check "SIGHUP" bash -c "for i in \$(seq 100); do [ ! -e '$T/mount.log' ] || exit 0; sleep 0.05; done; exit 1"
    kill -USR2 "$pid"
    check "SIGUSR2" until_grep "log level is info" "$T/mount.log"
}

# what was closed is in the bucket, the mount is gone
tx_sigterm() {
    ready
    echo "written before SIGTERM" >"$M/term"
    kill -TERM "$pid"
    wait_gone "$pid" 30 || fail "SIGTERM did not end the driver"
    ! grep -q " $M fuse" /proc/self/mounts || fail "the mount is still there after SIGTERM"
    check "mount again" mnt bkt "$M"
    check_eq "content after SIGTERM" "$(cat "$M/term")" "written before SIGTERM"
}

# a read that waits for the service ends with an error, and nothing that it needs goes before
tx_sigterm_while_reading() {
    ready
    oc fill f 1 3000000
    oc faults '[{"operation":"GetObject","count":-1,"stall":true}]'
    cat "$M/f00000" >"$T/read" 2>&1 &
    local reader=$!
    wait_until faults_have_come
    kill -TERM "$pid"
    wait_gone "$pid" 60 || fail "SIGTERM did not end the driver"
    ! wait "$reader" || fail "a file that cannot be read was read"
}

# the next mount says what to do
tx_death() {
    ready
    echo "closed before the death" >"$M/file"
    kill -KILL "$pid"
    wait_gone "$pid" 10
    fails "umount -l $M" "$OBSMOUNT" bkt "$M" -o "$(base_options)"
    check "lazy unmount" umount -i -l "$M"
    check "mount after death" mnt bkt "$M"
    check_eq "content after death" "$(cat "$M/file")" "closed before the death"
}

tx_umount_forgets() {
    ready
    check "unmount" umnt "$M"
    is_gone "$pid" || fail "the driver is there after umount"
    ! grep -qsx "$M" /run/obsmount/* || fail "a file of the mount is left in /run/obsmount"
    fails "is not mounted" umnt "$M"
}

tx_foreground() {
    service_start
    mkdir -p "$M"
    "$OBSMOUNT" bkt "$M" -f -o "$(base_options)" &
    pid=$!
    check "the mount" until_grep " $M fuse" /proc/self/mounts
    check "answer" run_limited 20 stat -f "$M" >/dev/null
    kill -INT "$pid"
    local got=0
    wait "$pid" || got=$?
    check_eq "exit code after SIGINT" "$got" 0
    ! grep -q " $M fuse" /proc/self/mounts || fail "the mount is still there after SIGINT"
}

# A mount command that is ended while the service takes connections and says nothing.
tx_interrupted_mount() {
    service_start
    service_stop
    mkdir -p "$M"
    python3 - "$OBS_PORT" <<'PY' &
import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(64)
time.sleep(120)
PY
    local silent=$! i
    sleep 0.5
    "$OBSMOUNT" bkt "$M" -o "$(base_options)" >"$T/out" 2>&1 &
    pid=$!
    sleep 1
    kill -0 "$pid" 2>/dev/null || fail "the mount command did not wait: $(cat "$T/out")"
    kill -TERM "$pid"
    wait "$pid" 2>/dev/null
    kill "$silent"
    wait "$silent" 2>/dev/null
    for ((i = 0; i < 100; i++)); do
        pgrep -f "$OBSMOUNT bkt $M" >/dev/null || break
        sleep 0.05
    done
    ! pgrep -f "$OBSMOUNT bkt $M" >/dev/null || fail "a driver is left behind"
    ! grep -q " $M fuse" /proc/self/mounts || fail "a mount is left behind"
}

. "$(dirname "$0")/lib.sh"
