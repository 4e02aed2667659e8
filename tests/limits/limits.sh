#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# limits.sh - staging_max, memory, open uploads: many writers, large files, a full disk.
# Cases are as in tests/mount/lib.sh.

mib=1048576

sanitized() { grep -q __asan_init "$OBSMOUNT"; }

# The memory cgroup $CG of 256 MiB; enter_cgroup moves the calling shell into it.
cgroup_256m() {
    local v1=/sys/fs/cgroup/memory v2=/sys/fs/cgroup
    if grep -qw memory "$v2/cgroup.controllers" 2>/dev/null; then
        CG=$v2/obsmount-test.$$
        echo +memory >"$v2/cgroup.subtree_control" 2>/dev/null
        mkdir "$CG" 2>/dev/null || skip "no memory cgroup can be made (v2)"
        if ! { echo $((256 * mib)) >"$CG/memory.max"; } 2>/dev/null; then
            rmdir "$CG"
            skip "the memory cgroup has no limit (v2)"
        fi
        echo "memory cgroup v2"
    else
        CG=$v1/obsmount-test.$$
        mkdir "$CG" 2>/dev/null || skip "no memory cgroup can be made (v1)"
        if ! { echo $((256 * mib)) >"$CG/memory.limit_in_bytes"; } 2>/dev/null; then
            rmdir "$CG"
            skip "the memory cgroup has no limit (v1)"
        fi
        echo "memory cgroup v1"
    fi
    trap 'code=$?; leave_cgroup; (exit $code); clean_up' EXIT
}

enter_cgroup() { echo "$BASHPID" >"$CG/cgroup.procs"; }

leave_cgroup() {
    local parent pid
    parent=$(dirname "$CG")
    for pid in $(cat "$CG/cgroup.procs"); do echo "$pid" >"$parent/cgroup.procs" 2>/dev/null; done
    rmdir "$CG"
}

# The most bytes that staging files took on the disk while the case ran.
watch_staging() { # FILE
    local most=0 now
    while [ -e "$1.run" ]; do
        now=$(find "$T/state" -name '*.data' -printf '%b\n' 2>/dev/null | awk '{ s += $1 } END { print s * 512 }')
        [ "${now:-0}" -le "$most" ] || most=$now
        echo "$most" >"$1"
        sleep 0.1
    done
}

start_watch() {
    : >"$T/most.run"
    watch_staging "$T/most" &
    watcher=$!
}

end_watch() {
    rm -f "$T/most.run"
    wait "$watcher"
    most=$(cat "$T/most")
    echo "staging took at most $((most / mib)) MiB"
}

rss_kib() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$driver/status"; }

source_of() { # NUMBER
    echo "writer $1"
    cat "$T/src"
}

# WRITERS of SIZE MiB each at once, beside as many that wrote IDLE bytes and stay open; all must
# end, stay within LIMIT MiB, and store what was written.
many_writers() { # WRITERS SIZE LIMIT IDLE
    local writers=$1 size=$2 limit=$3 idle=$4 i pids=() before after
    make_file "$T/src" $((size * mib))
    before=$(rss_kib VmRSS)
    start_watch
    if [ "$idle" -gt 0 ]; then
        (
            [ -z "${CG:-}" ] || enter_cgroup
            for ((i = 0; i < writers; i++)); do
                exec {fd}>"$M/idle$i" || exit 1
                head -c "$idle" "$T/src" >&"$fd" || exit 1
            done
            : >"$T/idle.ready"
            while [ -e "$T/idle.ready" ] && [ ! -e "$T/idle.end" ]; do sleep 0.2; done
        ) &
        idler=$!
        while [ ! -e "$T/idle.ready" ]; do # the case as a whole has a limit
            kill -0 "$idler" 2>/dev/null || fail "the idle files are not written"
            sleep 0.1
        done
    fi
    for ((i = 0; i < writers; i++)); do
        (
            [ -z "${CG:-}" ] || enter_cgroup
            source_of "$i" >"$M/f$i"
        ) &
        pids+=($!)
    done
    check "ls while they write" run_limited 20 ls "$M" >/dev/null
    for i in "${pids[@]}"; do wait "$i" || fail "a writer failed"; done
    after=$(rss_kib VmHWM)
    echo "memory of the driver: $before KiB at first, $after KiB at most"
    end_watch
    [ "$most" -le $((limit * mib)) ] || fail "staging took $most bytes"
    if [ "$idle" -gt 0 ]; then
        : >"$T/idle.end"
        wait "$idler" || fail "an idle writer failed"
        oc get "idle$((writers - 1))" | cmp - <(head -c "$idle" "$T/src") || fail "an idle file differs"
    fi
    for ((i = 0; i < writers; i++)); do
        oc get "f$i" | cmp - <(source_of "$i") || fail "f$i differs"
    done
    sanitized || [ $((after - before)) -le $((128 * 1024)) ] ||
        fail "the driver's memory grew by $((after - before)) KiB"
}

tx_many_writers() { # timeout=300
    service_start --rate 40000000
    mounted_with "part_size=9M,parallel=4,staging_max=100M"
    many_writers 16 20 100 0
}

tx_beside_idle_files() { # timeout=300
    service_start --rate 40000000
    mounted_with "part_size=9M,parallel=4,staging_max=100M"
    many_writers 16 20 100 $mib
    check "parts were sealed short" test "$(requests UploadPart)" -gt $((16 * 3))
}

# 64 writers of 100 MiB in 256 MiB of memory, page cache included, and 500 MiB of staging.
tx_cgroup() { # long timeout=1800
    sanitized && skip "AddressSanitizer's own memory does not fit; tests/run long has a release build for it"
    cgroup_256m
    service_start
    (
        enter_cgroup
        mounted_with "part_size=9M,staging_max=500M"
    ) || fail "mount"
    mounted+=("$M")
    driver=$(driver_pid "$M")
    many_writers 64 100 500 $((5 * mib))
}

# The same, small.
tx_cgroup_small() { # timeout=300
    cgroup_256m
    service_start --rate 40000000
    (
        enter_cgroup
        mounted_with "part_size=9M,parallel=4,staging_max=100M"
    ) || fail "mount"
    mounted+=("$M")
    driver=$(driver_pid "$M")
    many_writers 16 20 100 0
}

# Names that were listed and are of no use any more cost no memory.
tx_names() { # long timeout=600
    ! sanitized || skip "AddressSanitizer keeps what is freed"
    service_start
    oc fill d/f 60000
    mounted_with meta_ttl=3s
    local before listed now
    before=$(rss_kib VmRSS)
    check_eq "names" "$(ls -U "$M/d" | wc -l)" 60000
    listed=$(rss_kib VmRSS)
    [ "$listed" -gt $((before + 20000)) ] || fail "60,000 names took $((listed - before)) KiB"
    names_are_gone() { now=$(rss_kib VmRSS) && [ "$now" -lt $((before + 10000)) ]; }
    wait_until names_are_gone
    echo "KiB: $before, $listed with 60,000 names, $now after"
}

# A file larger than staging_max goes through, and is what was written; reads before the end of what
# was released are refused with a reason.
tx_streams() { # s3 timeout=300
    service_start
    mounted_with "part_size=$part_size,staging_max=$((6 * part_size))"
    make_file "$T/in" $((24 * part_size + 12345))
    start_watch
    check "cp" cp "$T/in" "$M/f"
    end_watch
    [ "$most" -le $((6 * part_size + 65536)) ] || fail "staging took $most bytes"
    check_eq "the ETag" "$(stored_etag f)" "$(oc etag "$T/in" $part_size)"
    drop_pages
    check "cmp" cmp "$T/in" "$M/f"
}

# What of an open file was released: the first part and the last two are there, others are not.
tx_punched_parts() { # timeout=120
    service_start
    mounted_with "staging_max=$((6 * part_size))"
    make_file "$T/in" $((12 * part_size + 7))
    python3 - "$T/in" "$M/f" $part_size <<'PY' || fail "an open file with released parts"
import errno, os, sys
data = open(sys.argv[1], "rb").read()
part = int(sys.argv[3])
fd = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
at = 0
while at < len(data):
    at += os.write(fd, data[at:at + 131072])
assert os.pread(fd, 1000, 0) == data[:1000], "the first part"
assert os.pread(fd, 1000, len(data) - 1000) == data[-1000:], "the last part"
assert os.pread(fd, 1000, len(data) - part) == data[-part:-part + 1000], "the last but one"
def refused(what, f):
    try:
        f()
    except OSError as e:
        assert e.errno == errno.ENOSPC, (what, e)
        return
    raise SystemExit(what + " was not refused")
refused("a write into a released part", lambda: os.pwrite(fd, b"x", part + 10))
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
refused("a read of a released part", lambda: os.pread(fd, 4096, part + 8192))
new = os.urandom(part)
assert os.pwrite(fd, new, part) == part, "a whole part"
data = data[:part] + new + data[2 * part:]
assert os.pwrite(fd, b"HEAD", 0) == 4
data = b"HEAD" + data[4:]
refused("a rename", lambda: os.rename(sys.argv[2], sys.argv[2] + "2"))
os.close(fd)
open(sys.argv[1], "wb").write(data)
PY
    grep -q "staging_max" "$T/mount.log" || fail "the log does not name staging_max"
    oc get f | cmp - "$T/in" || fail "the content"
    check "cmp" cmp "$T/in" "$M/f"
    mv "$M/f" "$M/g" || fail "rename after close"
    check "cmp" cmp "$T/in" "$M/g"
}

# A writer that waits for room ends with the signal, and nothing of it is stored.
tx_interrupted_wait() { # timeout=120
    service_start
    oc faults '[{"operation":"UploadPart","count":-1,"delay_ms":30000}]' >/dev/null
    mounted_with "staging_max=$((4 * part_size))"
    (exec head -c $((20 * part_size)) /dev/zero >"$M/f") &
    local writer=$! i
    for ((i = 0; i < 100; i++)); do
        [ "$(stat -c %s "$M/f" 2>/dev/null || echo 0)" -ge $((4 * part_size)) ] && break
        sleep 0.1
    done
    sleep 0.5
    check "it waits" kill -0 $writer
    check "ls meanwhile" run_limited 10 ls "$M" >/dev/null
    kill -INT $writer
    kill -TERM $writer
    wait_gone $writer 5 || fail "the waiting writer is still there"
    oc faults '[]' >/dev/null
    check_eq "nothing is stored" "$(oc list)" ""
}

# What durability=stage has promised is never dropped: when it alone fills the room, and the service does
# not take it, a new writer is told instead of waiting for ever.
tx_full_of_promises() { # timeout=120
    service_start
    mounted_with "staging_max=$((6 * part_size)),durability=stage,retry_time=1s"
    make_file "$T/in" $((4 * part_size + 5))
    oc faults '[{"operation":"UploadPart","count":-1,"status":503,"code":"ServiceUnavailable"}]' >/dev/null
    cp "$T/in" "$M/f" || fail "it was not taken"
    local i
    for ((i = 0; i < 300; i++)); do
        ! grep -q "'/f' is not stored" "$T/mount.log" || break
        sleep 0.1
    done
    fails "No space left" run_limited 60 cp "$T/in" "$M/g"
    check "what was promised is there" cmp "$T/in" "$M/f"
    oc faults '[]' >/dev/null
    leave
    oc get f | cmp - "$T/in" || fail "what was promised is not stored"
    mounted_with
}

# What has failed at durability=store is kept for a retry until somebody else needs the room: then the
# oldest goes, and the errors say so.
tx_failed_gives_way() { # timeout=120
    service_start
    mounted_with "staging_max=$((8 * part_size))"
    make_file "$T/in" $((3 * part_size + 5))
    oc faults '[{"operation":"UploadPart","count":-1,"status":403,"code":"AccessDenied"}]' >/dev/null
    fails "ermission denied" cp "$T/in" "$M/f1"
    fails "ermission denied" cp "$T/in" "$M/f2"
    oc faults '[]' >/dev/null
    check_eq "failed ones" "$(grep -c ' failed ' "$M/.obsmount/uploads")" 2
    cp "$T/in" "$M/g" || fail "there is no room for g"
    oc get g | cmp - "$T/in" || fail "the content of g"
    check "the errors say it" grep -q "ENOSPC .*f1.*dropped to stay within staging_max" "$M/.obsmount/errors"
    check_eq "the younger one is still there" "$(grep -c ' failed .*/f2' "$M/.obsmount/uploads")" 1
    check_eq "not the older one" "$(grep -c '/f1' "$M/.obsmount/uploads")" 0
}

stat_of() { awk -v name="obsmount_$1" '$1 == name { print $2 }' "$M/.obsmount/stats"; }

# The data of writes that wait stay within a quarter of memory_max, however many there are; each waits
# for its turn, and all end well.
tx_waiting_data() { # timeout=240
    local writers=200 budget=$((2 * mib)) i
    service_start
    oc faults '[{"operation":"UploadPart","count":-1,"stall":true},{"operation":"PutObject","count":-1,"stall":true}]'
    mounted_with "staging_max=$((6 * part_size)),memory_max=8M,stall_timeout=200s"
    make_file "$T/src" $((part_size + 100000))
    python3 - "$M" "$T/src" $writers <<'PY' &
import os, sys
mount, source, writers = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(source, "rb") as f:
    data = f.read()
children = []
for i in range(writers):
    pid = os.fork()
    if pid == 0:
        left = memoryview(b"writer %d\n" % i + data)
        fd = os.open(f"{mount}/f{i}", os.O_CREAT | os.O_WRONLY, 0o644)
        while left:
            n = os.write(fd, left)
            if n <= 0:
                os._exit(1)
            left = left[n:]
        try:
            os.close(fd)
        except OSError as e:
            os._exit(2)
        os._exit(0)
    children.append(pid)
sys.exit(any([os.waitpid(pid, 0)[1] for pid in children]))
PY
    local program=$!
    for ((i = 0; i < 600; i++)); do
        [ "$(stat_of writes_waiting)" -lt $((writers - 10)) ] || break
        kill -0 $program || fail "the writers have ended"
        sleep 0.1
    done
    echo "$(stat_of writes_waiting) writes wait, with $(stat_of write_wait_bytes) bytes"
    [ "$(stat_of writes_waiting)" -ge $((writers - 10)) ] || fail "the writers do not wait"
    check "ls meanwhile" run_limited 20 ls "$M" >/dev/null
    oc faults '[]'
    wait $program || fail "a writer failed"
    echo "at most $(stat_of write_wait_peak_bytes) bytes, $(stat_of short_writes_total) short writes"
    [ "$(stat_of write_wait_peak_bytes)" -le $((budget + writers * 4096)) ] || fail "too much memory"
    [ "$(stat_of short_writes_total)" -ge $((writers / 2)) ] || fail "hardly any write was short"
    check_eq "what waits at last" "$(stat_of writes_waiting) $(stat_of write_wait_bytes)" "0 0"
    PYTHONPATH=$top/tests/lib python3 - "$OBS_PORT" "$T/keys" "$T/src" $writers <<'PY' || fail "a file differs"
import sys
import obsclient
port, keys, source, writers = sys.argv[1:]
ak, sk = open(keys).readline().strip().split(":")[:2]
client = obsclient.Client(int(port), ak, sk, "bkt")
data = open(source, "rb").read()
for i in range(int(writers)):
    if client.request("GET", b"f%d" % i)[2] != b"writer %d\n" % i + data:
        sys.exit(f"f{i} differs")
PY
}

# What rsync does: a temporary name, written, closed, renamed.
as_rsync() { # FILE NAME
    python3 - "$1" "$M" "$2" <<'PY'
import os, sys
source, mount, name = sys.argv[1:]
temp = f"{mount}/.{name}.A1b2C3"
fd = os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
with open(source, "rb") as f:
    while piece := f.read(262144):
        os.write(fd, piece)
os.close(fd)
os.chmod(temp, 0o640)
os.utime(temp, (1e9, 1e9))
os.rename(temp, f"{mount}/{name}")
PY
}

# Files that wait for their rename: without a copy if staging holds them, else under their own name.
tx_predicted() { # timeout=120
    service_start
    mounted_with "staging_max=$((6 * part_size))"
    make_file "$T/small" $((3 * part_size))
    check "the small one" as_rsync "$T/small" small
    check_eq "copies" "$(requests CopyObject CopyPart)" 0
    make_file "$T/large" $((20 * part_size + 5))
    check "the large one" as_rsync "$T/large" large
    drop_pages
    check "cmp" cmp "$T/large" "$M/large"
    check "cmp" cmp "$T/small" "$M/small"
    check_eq "attributes" "$(stat -c '%a %Y' "$M/large")" "640 1000000000"
    check_eq "names" "$(oc list | cut -f 1 | xargs)" "large small"
    check_eq "no upload is left" "$(oc uploads)" ""
}

# The driver is killed when parts of a closed file are on the server only: the next mount completes
# the upload from them.
tx_killed() { # timeout=120
    service_start
    oc faults '[{"operation":"CompleteMultipartUpload","count":-1,"delay_ms":30000}]' >/dev/null
    mounted_with "staging_max=$((6 * part_size))"
    make_file "$T/in" $((20 * part_size + 5))
    cp "$T/in" "$M/f" 2>/dev/null &
    local writer=$! i
    for ((i = 0; i < 200; i++)); do
        [ "$(requests UploadPart)" -ge 21 ] && break
        sleep 0.1
    done
    sleep 0.5
    kill -9 "$driver"
    wait "$writer" && fail "close said that it was stored"
    umount -l "$M"
    oc faults '[]' >/dev/null
    local sent
    sent=$(requests UploadPart)
    mounted_with "staging_max=$((6 * part_size))"
    for ((i = 0; i < 200; i++)); do
        [ -n "$(oc list f)" ] && break
        sleep 0.1
    done
    oc get f | cmp - "$T/in" || fail "the content"
    check_eq "parts sent again" "$(($(requests UploadPart) - sent))" 0
}

# The upload vanishes when parts of the file are nowhere else: an error, never an object with holes.
tx_vanished() { # timeout=120
    service_start
    oc faults '[{"operation":"UploadPart","skip":15,"drop_upload":true}]' >/dev/null
    mounted_with "staging_max=$((6 * part_size))"
    make_file "$T/in" $((20 * part_size + 5))
    fails "Input/output error" cp "$T/in" "$M/f"
    check "the reason is told" grep -q "released to stay within staging_max" "$T/mount.log"
    check_eq "nothing is stored" "$(oc list)" ""
}

# When somebody waits and nothing else helps, what is kept of interrupted files goes.
tx_room_of_the_interrupted() { # timeout=120
    service_start
    mounted_with "staging_max=$((6 * part_size))"
    make_file "$T/in" $((5 * part_size))
    python3 - "$T/in" "$M/dead" "$T/ready" <<'PY' &
import sys, time
with open(sys.argv[2], "wb", buffering=0) as f:
    f.write(open(sys.argv[1], "rb").read())
    open(sys.argv[3], "w").close()
    time.sleep(60)
PY
    local writer=$! i
    for ((i = 0; i < 400; i++)); do
        [ ! -e "$T/ready" ] || break
        sleep 0.05
    done
    kill -9 "$writer"
    wait "$writer" 2>/dev/null
    for ((i = 0; i < 400; i++)); do
        ! grep -q interrupted "$M/.obsmount/uploads" || break
        sleep 0.05
    done
    check "it is kept" grep -q interrupted "$M/.obsmount/uploads"
    make_file "$T/large" $((10 * part_size))
    check "cp" cp "$T/large" "$M/f"
    oc get f | cmp - "$T/large" || fail "the content"
    check "errors names it" grep -q dead "$M/.obsmount/errors"
    check "so does the log" grep -q "dead" "$T/mount.log"
}

# What durability=stage has promised stays, and fills the room while the service is away: who comes then
# gets ENOSPC. All that was promised is stored when it is back.
tx_promised_fills_the_room() { # timeout=120
    service_start
    mounted_with "durability=stage,retry_time=1s,staging_max=$((6 * part_size))"
    oc faults '[{"operation":"PutObject","count":-1,"status":503,"code":"SlowDown"}]'
    make_file "$T/in" $part_size
    local n=0 i
    while cp "$T/in" "$M/f$n" 2>"$T/why"; do
        n=$((n + 1))
        [ "$n" -le 6 ] || fail "$n files are promised"
    done
    grep -q "No space left" "$T/why" || fail "cp: $(cat "$T/why")"
    rm -f "$M/f$n"
    [ "$n" -ge 2 ] || fail "only $n files are promised"
    check_eq "stored" "$(oc list)" ""
    oc faults '[]'
    for ((i = 0; i < 300; i++)); do
        [ "$(oc list | wc -l)" -lt "$n" ] || break
        sleep 0.2
    done
    check_eq "stored" "$(oc list | cut -f 1 | xargs)" "$(seq -f 'f%.0f' 0 $((n - 1)) | xargs)"
    oc get "f$((n - 1))" | cmp - "$T/in" || fail "the content"
}

# Far behind the beginning parts are so large that staging does not hold four of them.
tx_parts_too_large() {
    service_start
    mounted_with "staging_max=$((6 * part_size)),max_file_size=40T"
    python3 - "$M/f" <<'PY' || fail "a write far behind"
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
try:
    os.pwrite(fd, b"x", 30 << 40)
except OSError as e:
    assert e.errno == errno.ENOSPC, e
else:
    sys.exit("it was taken")
PY
    check "the log names it" grep -q "staging_max" "$T/mount.log"
}

# Staging that does not outlive the machine.
tx_state_in_memory() {
    mkdir "$T/state"
    mount -t tmpfs -o size=64m none "$T/state" 2>/dev/null || skip "no tmpfs can be mounted"
    trap 'umnt "$M" 2>/dev/null; umount "$T/state"; clean_up' EXIT
    service_start
    mounted_with
    check "it is warned of" grep -q "warning.*tmpfs\|warning.*memory" "$T/mount.log"
    leave
    mounted=()
    umount "$T/state" || fail "umount of the state directory"
    trap clean_up EXIT
}

# The disk, not staging_max, is the limit: a tenth of it stays free.
tx_small_disk() { # timeout=180
    dd if=/dev/zero of="$T/disk" bs=1M count=0 seek=200 2>/dev/null
    mkfs.ext4 -q -m 0 "$T/disk" 2>/dev/null || skip "mkfs.ext4 cannot be run"
    mkdir "$T/state"
    mount -o loop "$T/disk" "$T/state" 2>/dev/null || skip "no loop device"
    trap 'umnt "$M" 2>/dev/null; umount "$T/state"; clean_up' EXIT
    service_start --rate 60000000
    mounted_with "part_size=4M"
    local i pids=() least=999999999999 now size
    size=$(df -B1 --output=size "$T/state" | tail -n 1)
    make_file "$T/src" $((80 * mib))
    for i in 1 2 3 4 5; do
        source_of $i >"$M/f$i" &
        pids+=($!)
    done
    while kill -0 "${pids[@]}" 2>/dev/null; do
        now=$(df -B1 --output=avail "$T/state" | tail -n 1)
        [ "$now" -ge "$least" ] || least=$now
        sleep 0.05
    done
    for i in "${pids[@]}"; do wait "$i" || fail "a writer failed"; done
    echo "of $size bytes at least $least were free"
    [ "$least" -ge $((size / 10 - mib)) ] || fail "only $least of $size bytes were free"
    for i in 1 2 3 4 5; do oc get f$i | cmp - <(source_of $i) || fail "f$i differs"; done
    settle
    mounted=()
    umount "$T/state" || fail "umount of the disk"
    trap clean_up EXIT
}

# More files than open uploads: the others wait for their turn.
tx_open_uploads() { # timeout=120
    service_start
    mounted_with "open_uploads=2"
    local i pids=()
    make_file "$T/src" $((3 * part_size))
    for i in 1 2 3 4 5 6; do
        source_of $i >"$M/f$i" &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || fail "a writer failed"; done
    for i in 1 2 3 4 5 6; do oc get f$i | cmp - <(source_of $i) || fail "f$i differs"; done
}

# A limit below four parts is refused.
tx_too_small() {
    service_start
    fails "staging_max must hold four parts" mnt bkt "$M" "part_size=9M,staging_max=35M"
    mounted=()
}

# 100 GiB with 1 GiB of staging: 10,000 parts are enough.
tx_100g() { # long timeout=7200
    sanitized && skip "hours with AddressSanitizer; tests/run long has a release build for it"
    service_start --null-store
    mounted_with "part_size=9M,staging_max=1G,log_level=notice"
    truncate -s 100G "$T/in"
    start_watch
    check "cp" dd if="$T/in" of="$M/f" bs=1M status=none
    end_watch
    [ "$most" -le $((1024 * mib + mib)) ] || fail "staging took $most bytes"
    check_eq "the size" "$(oc list f | cut -f 2)" $((100 * 1024 * mib))
    echo "parts: $(requests UploadPart)"
}

. "$(dirname "$0")/../mount/lib.sh"
