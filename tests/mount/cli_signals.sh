#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The life of the driver: background, SIGTERM, SIGHUP, SIGUSR2, its death, the foreground.
. "$(dirname "$0")/../lib/common.sh"
service_start
M=$T/mnt

check "mount" mnt bkt "$M"
# the command returned: the mount answers at once
check "answer" stat -f "$M" >/dev/null
pid=$(driver_pid "$M")
[ -n "$pid" ] || fail "no file in /run/obsmount names the driver"
check_eq "standard output of the driver" "$(readlink "/proc/$pid/fd/1")" /dev/null
check_eq "directory of the driver" "$(readlink "/proc/$pid/cwd")" /
check_eq "core limit of the driver" "$(awk '/core file/ { print $5 }' "/proc/$pid/limits")" 0
! tr '\0' '\n' <"/proc/$pid/environ" | grep -q testsecretkey || fail "the secret is in the environment"
! tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q testsecretkey || fail "the secret is in the arguments"
check_eq "options in mountinfo" "$(findmnt -n -o FSTYPE,SOURCE "$M" | tr -s ' ')" "fuse.obsmount bkt"
case ,$(findmnt -n -o OPTIONS "$M"), in *,nosuid,nodev,*) ;; *) fail "nosuid and nodev are not set" ;; esac

# log: reopened after a rotation, level by level
mv "$T/mount.log" "$T/mount.log.1"
kill -HUP "$pid"
kill -USR2 "$pid"
for _ in $(seq 100); do
    grep -q "log level is info" "$T/mount.log" 2>/dev/null && break
    sleep 0.05
done
check "SIGHUP and SIGUSR2" grep -q "log level is info" "$T/mount.log"

# SIGTERM: what was closed is in the bucket, the mount is gone, status 0
echo "written before SIGTERM" >"$M/term"
kill -TERM "$pid"
wait_gone "$pid" 30 || fail "SIGTERM did not end the driver"
! grep -q " $M fuse" /proc/self/mounts || fail "the mount is still there after SIGTERM"
check "mount again" mnt bkt "$M"
check_eq "content after SIGTERM" "$(cat "$M/term")" "written before SIGTERM"

# death: the next mount says what to do
pid=$(driver_pid "$M")
kill -KILL "$pid"
wait_gone "$pid" 10
fails "umount -l $M" "$OBSMOUNT" bkt "$M" -o "$(base_options)"
check "lazy unmount" umount -i -l "$M"
check "mount after death" mnt bkt "$M"
check_eq "content after death" "$(cat "$M/term")" "written before SIGTERM"
check "unmount" umnt "$M"
[ -z "$(driver_pid "$M")" ] || fail "a file of the mount is left in /run/obsmount"
fails "is not mounted" umnt "$M"

# the foreground: the process serves until SIGINT
"$OBSMOUNT" bkt "$M" -f -o "$(base_options)" &
pid=$!
for _ in $(seq 200); do
    grep -q " $M fuse" /proc/self/mounts && break
    sleep 0.05
done
check_eq "content in the foreground" "$(run_limited 20 cat "$M/term")" "written before SIGTERM"
kill -INT "$pid"
wait "$pid"
check_eq "exit code after SIGINT" $? 0

# a mount command that is interrupted while the service does not answer leaves nothing behind
service_stop
python3 - "$OBS_PORT" <<'PY' &
import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(64)
time.sleep(120)
PY
silent=$!
sleep 0.5
"$OBSMOUNT" bkt "$M" -o "$(base_options)" >"$T/out" 2>&1 &
pid=$!
sleep 1
kill -0 "$pid" 2>/dev/null || fail "the mount command did not wait: $(cat "$T/out")"
kill -TERM "$pid"
wait "$pid" 2>/dev/null
kill "$silent"
wait "$silent" 2>/dev/null
for _ in $(seq 100); do
    pgrep -f "$OBSMOUNT bkt $M" >/dev/null || break
    sleep 0.05
done
! pgrep -f "$OBSMOUNT bkt $M" >/dev/null || fail "a driver is left behind"
! grep -q " $M fuse" /proc/self/mounts || fail "a mount is left behind"
