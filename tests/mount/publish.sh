#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# publish.sh - when a file becomes visible in the bucket, and what that costs.

# Sizes of all objects that were stored under KEY, in order: "0 6" is an empty one first.
stored_sizes() { oc log PutObject | awk -F '\t' -v key="$1" '$2 == key && $3 == 200 { print $4 }' | xargs; }

t_echo_is_one_put() { # s3
    oc reset
    echo x >"$M/f"
    check_eq "PUTs, copies, deletes" "$(puts_copies_deletes)" "1 0 0"
    check_eq "content" "$(oc get f)" x
}

# Children inherit the descriptor and close it; only the last close stores.
t_subshell_is_one_put() { # s3
    oc reset
    (
        echo a
        echo b
        /bin/echo c
        /bin/echo d
    ) >"$M/f"
    check_eq "what was stored" "$(stored_sizes f)" 8
    check_eq "content" "$(oc get f | xargs)" "a b c d"
}

# The same of a file that exists: it is never seen empty.
t_overwrite_is_one_put() { # s3
    echo old | oc put f >/dev/null
    oc reset
    (
        /bin/echo a
        /bin/echo b
    ) >"$M/f"
    check_eq "what was stored" "$(stored_sizes f)" 4
    check_eq "PUTs, copies, deletes" "$(puts_copies_deletes)" "1 0 0"
}

# While the writer still writes, others see the old version, at every moment.
t_old_version_until_close() { # s3
    echo old | oc put f >/dev/null
    exec 5>"$M/f"
    /bin/echo new >&5
    check_eq "in the bucket before close" "$(oc get f)" old
    /bin/echo more >&5
    check_eq "still before close" "$(oc get f)" old
    exec 5>&-
    check_eq "after close" "$(oc get f | xargs)" "new more"
}

t_new_file_absent_until_close() { # s3
    exec 5>"$M/f"
    head -c $((part_size * 2 + 100)) /dev/zero >&5
    check_eq "objects before close" "$(oc list)" ""
    check_eq "its own mount shows it" "$(stat -c %s "$M/f")" $((part_size * 2 + 100))
    exec 5>&-
    check_eq "objects" "$(oc list | cut -f 1,2)" $'f\t'$((part_size * 2 + 100))
}

t_empty_file() { # s3
    oc reset
    : >"$M/f"
    touch "$M/g"
    leave
    check_eq "objects" "$(oc list | cut -f 1,2 | xargs)" "f 0 g 0"
    check_eq "PUTs" "$(requests PutObject)" 2
    mounted_with
}

t_truncate_existing_by_open() { # s3
    echo something | oc put f >/dev/null
    : >"$M/f"
    leave
    check_eq "object" "$(oc list | cut -f 1,2)" $'f\t0'
    mounted_with
}

# fsync publishes: its writer said so.
t_fsync_publishes() { # s3
    python3 - "$M/f" "$T/go" "$T/went" <<'EOF_PY' &
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"first\n")
os.fsync(fd)
open(sys.argv[3], "w").close()
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
os.write(fd, b"second\n")
os.close(fd)
EOF_PY
    local writer=$! i
    for ((i = 0; i < 500; i++)); do
        [ ! -e "$T/went" ] || break
        sleep 0.02
    done
    check_eq "after fsync" "$(oc get f)" first
    : >"$T/go"
    wait "$writer" || fail "the writer failed"
    check_eq "after close" "$(oc get f | xargs)" "first second"
}

# Each fsync of a changed file is an upload; one of an unchanged file is none.
t_fsync_costs() { # s3-long
    oc reset
    check "writer" python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for piece in (b"a", b"b", b"c"):
    os.write(fd, piece)
    os.fsync(fd)
    os.fsync(fd)
os.close(fd)' "$M/f"
    check_eq "what was stored" "$(stored_sizes f)" "1 2 3"
}

# A writer that a signal ends has not closed: what was there stays.
killed_writer() { # SIGNAL SIZE
    echo old | oc put existing >/dev/null
    local name pid i
    for name in existing new; do
        python3 - "$M/$name" "$2" "$T/$name.ready" <<'EOF_PY' &
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
os.write(fd, b"z" * int(sys.argv[2]))
open(sys.argv[3], "w").close()
time.sleep(60)
EOF_PY
        pid=$!
        for ((i = 0; i < 1000; i++)); do
            [ ! -e "$T/$name.ready" ] || break
            sleep 0.02
        done
        kill "-$1" "$pid"
        wait "$pid" 2>/dev/null
    done
    check_eq "the existing one" "$(oc get existing)" old
    check_eq "objects" "$(oc list | cut -f 1)" existing
    check_eq "the mount shows the old one" "$(cat "$M/existing")" old
    fails "No such file" cat "$M/new"
    leave
    check_eq "objects after umount" "$(oc list | cut -f 1)" existing
    mounted_with
}

t_sigkill_small() { # s3
    killed_writer KILL 1000
}

t_sigkill_parts() { # s3
    killed_writer KILL $((part_size * 3 + 1000))
}

t_sigterm_parts() {
    killed_writer TERM $((part_size * 3 + 1000))
}

t_sigsegv_small() {
    killed_writer SEGV 1000
}

# As a local disk would have it.
t_sigkill_publish() {
    remount killed_writer=publish
    local pid i
    python3 -c '
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644)
os.write(fd, b"z" * 1000)
open(sys.argv[2], "w").close()
time.sleep(60)' "$M/f" "$T/ready" &
    pid=$!
    for ((i = 0; i < 1000; i++)); do
        [ ! -e "$T/ready" ] || break
        sleep 0.02
    done
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    check_eq "stored" "$(oc get f | wc -c)" 1000
}

# cat of something slow, killed on the way.
t_copy_killed() { # s3
    echo old | oc put f >/dev/null
    mkfifo "$T/pipe"
    cat "$T/pipe" >"$M/f" &
    local writer=$! i
    exec 6>"$T/pipe"
    head -c $((part_size * 2 + 7)) /dev/urandom >&6
    for ((i = 0; i < 500; i++)); do
        [ "$(stat -c %s "$M/f")" -lt $((part_size * 2)) ] || break
        sleep 0.02
    done
    kill -9 "$writer"
    wait "$writer" 2>/dev/null
    exec 6>&-
    check_eq "the old version" "$(oc get f)" old
    drop_pages
    check_eq "after a remount" "$(cat "$M/f")" old
}

# A normal exit without close() publishes.
t_exit_without_close() { # s3
    python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"kept\n")
os._exit(3)' "$M/f"
    check_eq "content" "$(oc get f)" kept
}

# A descriptor that was passed on to a child which outlives the opener is stored by the child's end.
t_child_outlives_opener() { # s3
    bash -c 'exec 5>"$1"; (sleep 0.3; /bin/echo late >&5) & /bin/echo early >&5' _ "$M/f"
    local i
    for ((i = 0; i < 200; i++)); do
        [ "$(oc get f 2>/dev/null | xargs)" != "early late" ] || break
        sleep 0.05
    done
    check_eq "content" "$(oc get f | xargs)" "early late"
}

# A killed child of a living opener changes nothing.
t_killed_child() { # s3
    exec 5>"$M/f"
    /bin/echo one >&5
    bash -c '/bin/echo two; kill -9 $$' >&5
    /bin/echo three >&5
    exec 5>&-
    check_eq "content" "$(oc get f | xargs)" "one two three"
}

# dup()ed descriptors of one process.
t_dup_and_close() { # s3
    oc reset
    python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
two = os.dup(fd)
os.write(fd, b"a" * 10)
os.close(fd)
os.write(two, b"b" * 10)
os.close(two)' "$M/f"
    check_eq "content" "$(oc get f)" aaaaaaaaaabbbbbbbbbb
}

# The rename keeps the promise of close(), also when somebody else still has the descriptor.
t_held_name_inherited() { # s3
    python3 - "$M" <<'PY' || fail "a temporary file that a child has open"
import os, signal, sys
os.chdir(sys.argv[1])
fd = os.open("tmpabcd1234", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
child = os.fork()
if child == 0:
    signal.alarm(60) # in case nobody ends it
    os.closerange(0, 3)
    signal.pause()
os.write(fd, b"all of it")
os.close(fd)
os.rename("tmpabcd1234", "f")
with open(sys.argv[1] + ".child", "w") as f:
    f.write(str(child))
PY
    local stored
    stored=$(oc get f)
    kill -9 "$(cat "$M.child")"
    check_eq "content" "$stored" "all of it"
    check_eq "PUTs" "$(requests PutObject)" 1
}

# Who has it open for writing stores it at close, though it was another who has cut it.
t_truncated_while_open() { # s3
    echo 0123456789 >"$M/f"
    exec 7>>"$M/f"
    python3 -c 'import os, sys; os.truncate(sys.argv[1], 5)' "$M/f" || fail "truncate"
    exec 7>&-
    check_eq "content" "$(oc get f)" 01234
}

# execve(2) closes the descriptors that are O_CLOEXEC with a lock of the process held, for which a read
# of its /proc/PID/stat waits: a driver that read it before it answers would hang both for good.
t_exec_closes() { # s3
    oc reset
    run_limited 30 python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
os.write(fd, b"0123456789")
os.execv("/bin/true", ["true"])' "$M/f" || fail "exec of the opener"
    check_eq "content" "$(oc get f)" 0123456789
    run_limited 30 python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
os.write(fd, b"abc")
pids = []
for i in range(8):
    pid = os.fork()
    if pid == 0:
        os.execv("/bin/true", ["true"])
    pids.append(pid)
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
os.write(fd, b"def")
os.execv("/bin/true", ["true"])' "$M/g" || fail "exec of children"
    check_eq "content" "$(oc get g)" abcdef
    check_eq "PUTs" "$(requests PutObject)" 2
}

# rsync's temp names: a small file costs one PUT.
t_rsync_small_files() { # s3
    local i
    mkdir "$T/src"
    for i in $(seq 20); do make_file "$T/src/file$i" $((i * 1000)); done
    mkdir "$M/dst"
    oc reset
    check "rsync" rsync -a --no-owner --no-group "$T/src/" "$M/dst/"
    sleep 0.3 # attribute changes of the directory itself gather for 100 ms
    check_eq "PUTs of files" "$(oc log PutObject | grep -c 'dst/file')" 20
    check_eq "copies" "$(requests CopyObject CopyPart)" \
        "$([ "$dialect" = obs ] && echo 0 || requests CopyObject CopyPart)"
    check_eq "copies of files" "$(oc log CopyObject | grep -c 'dst/file')" 0
    check_eq "deletes" "$(requests DeleteObject DeleteObjects)" 0
    check_eq "objects" "$(oc list | grep -c 'dst/file[0-9]*')" 20
    check_eq "no other" "$(oc list | grep -vc 'dst/file[0-9]*')" 1
    drop_pages
    check_eq "rsync finds nothing" "$(rsync -anci --no-owner --no-group --delete "$T/src/" "$M/dst/")" ""
}

# One of parts: initiate, parts, complete, and at most one request for its attributes. Dialect s3 cannot
# complete under the final name: there the rename copies.
t_rsync_large_file() { # s3
    make_file "$T/large" $((part_size * 5 + 100))
    oc reset
    check "rsync" rsync -a "$T/large" "$M/"
    sleep 0.3
    check_eq "parts" "$(requests UploadPart)" 6
    check_eq "initiate, complete" "$(requests InitiateMultipartUpload CompleteMultipartUpload)" 2
    check_eq "PUTs" "$(requests PutObject)" 0
    check_eq "aborts" "$(requests AbortMultipartUpload)" 0
    if [ "$dialect" = obs ]; then
        check_eq "copies, deletes" "$(requests CopyObject CopyPart DeleteObject DeleteObjects)" 0
        [ "$(requests SetObjectMetadata)" -le 1 ] || fail "$(requests SetObjectMetadata) requests for attributes"
    else
        [ "$(requests CopyObject)" -le 2 ] || fail "$(requests CopyObject) copies"
        [ "$(requests DeleteObject)" -le 1 ] || fail "$(requests DeleteObject) deletes"
    fi
    drop_pages
    check_eq "rsync finds nothing" "$(rsync -anci "$T/large" "$M/")" ""
}

# A temp name that nobody renames is stored under itself after hold_max.
tx_held_name_expires() { # s3
    service_start
    mounted_with hold_max=1s
    echo x >"$M/.data.Ab12Cd"
    local i
    for ((i = 0; i < 100; i++)); do
        [ -z "$(oc list)" ] || break
        sleep 0.1
    done
    check_eq "object" "$(oc list | cut -f 1,2)" $'.data.Ab12Cd\t2'
    check_eq "content" "$(cat "$M/.data.Ab12Cd")" x
}

# Names of the user's own patterns are held; one of several parts is stored at close.
tx_hold_patterns() { # s3
    service_start
    mounted_with 'hold_patterns=*.part:tmp-?'
    make_file "$T/big" $((part_size * 2 + 1))
    oc reset
    echo x >"$M/data.part"
    echo y >"$M/tmp-1"
    echo z >"$M/tmp-12"
    cp "$T/big" "$M/big.part"
    check_eq "stored at close" "$(oc list | cut -f 1 | xargs)" "big.part tmp-12"
    mv "$M/data.part" "$M/data"
    check_eq "stored by rename" "$(oc list | cut -f 1 | xargs)" "big.part data tmp-12"
    check_eq "copies, deletes" "$(requests CopyObject CopyPart DeleteObject DeleteObjects)" 0
    leave
    check_eq "stored at last" "$(oc list | cut -f 1 | xargs)" "big.part data tmp-1 tmp-12"
    mounted_with
}

# Whatever is held when one unmounts is stored.
t_held_name_at_umount() { # s3
    echo x >"$M/.data.Ab12Cd"
    make_file "$T/big" $((part_size * 2 + 1))
    cp "$T/big" "$M/.big.Ab12Cd"
    leave
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" ".big.Ab12Cd .data.Ab12Cd"
    mounted_with
    check "content" cmp "$T/big" "$M/.big.Ab12Cd"
}

# unlink of a held name leaves nothing.
t_held_name_removed() { # s3
    make_file "$T/big" $((part_size * 2 + 1))
    cp "$T/big" "$M/.big.Ab12Cd"
    rm "$M/.big.Ab12Cd"
    leave
    check_eq "objects" "$(oc list)" ""
    mounted_with
}

# A signal ends the wait of close(); the file goes on to be stored.
t_close_interrupted() { # s3
    oc faults '[{"operation":"PutObject","key":"f","count":-1,"stall":true}]'
    python3 - "$M/f" <<'EOF_PY' || fail "close was not interrupted"
import errno, os, signal, sys
signal.signal(signal.SIGALRM, lambda *_: None)
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(fd, b"content\n")
signal.setitimer(signal.ITIMER_REAL, 1, 1)
try:
    os.close(fd)
except OSError as e:
    sys.exit(e.errno != errno.EINTR)
sys.exit("close() has succeeded while the service did not answer")
EOF_PY
    oc faults '[]'
    check "drain" bash -c "echo drain >$M/.obsmount/ctl"
    check_eq "content" "$(oc get f)" content
}

# close() of each writer of a held file waits for the parts, and each is told what became of them.
two_closes() { # EXPECTED-ERRNO
    PYTHONPATH=$top/tests/lib OBS_KEYS=$T/keys OBS_PORT=$OBS_PORT python3 - \
        "$M/.big.Ab12Cd" "$part_size" "$1" <<'EOF_PY'
import errno, os, sys, threading
import obsclient

path, part_size, expected = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ak, sk = open(os.environ["OBS_KEYS"]).readline().strip().split(":")[:2]
client = obsclient.Client(int(os.environ["OBS_PORT"]), ak, sk, "bkt")
fds = [os.open(path, os.O_WRONLY | os.O_CREAT), os.open(path, os.O_WRONLY)]
os.pwrite(fds[0], b"a" * (part_size * 2), 0)
os.pwrite(fds[1], b"b", part_size * 2)
told, stored = {}, {}


def close(fd):
    try:
        os.close(fd)
        told[fd] = "none"
    except OSError as e:
        told[fd] = errno.errorcode[e.errno]
    uploads = client.request("GET", b"", {"uploads": None})[2].decode()
    upload = uploads.partition("<UploadId>")[2].partition("<")[0]
    stored[fd] = b"<PartNumber>3<" in client.request("GET", b"big", {"uploadId": upload})[2]


threads = [threading.Thread(target=close, args=(fd,)) for fd in fds]
for t in threads:
    t.start()
for t in threads:
    t.join()
if set(told.values()) != {expected}:
    sys.exit(f"the closes were told {told}, expected {expected}")
if expected == "none" and not all(stored.values()):
    sys.exit("a close returned before the last part was stored")
EOF_PY
}

t_held_name_two_closes() {
    oc faults '[{"operation":"UploadPart","query":"*partNumber=3*","count":-1,"delay_ms":2000,
                 "status":403,"code":"AccessDenied"}]'
    check "closes that fail" two_closes EACCES
    oc faults '[{"operation":"UploadPart","query":"*partNumber=3*","delay_ms":2000}]'
    check "closes" two_closes none
    mv "$M/.big.Ab12Cd" "$M/big"
    check_eq "object" "$(oc list | cut -f 1,2)" $'big\t'$((part_size * 2 + 1))
}

# Two writers of one file at a time, through two handles.
t_two_handles_write() { # s3
    python3 -c '
import os, sys
a = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
b = os.open(sys.argv[1], os.O_WRONLY)
os.pwrite(a, b"aaaa", 0)
os.pwrite(b, b"bbbb", 4)
os.close(a)
os.pwrite(b, b"cccc", 8)
os.close(b)' "$M/f"
    check_eq "content" "$(oc get f)" aaaabbbbcccc
}

# A file is read by another handle while it is written: what was written is seen at once.
t_read_own_writes() { # s3
    python3 -c '
import os, sys
a = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
b = os.open(sys.argv[1], os.O_RDONLY)
for i in range(200):
    os.pwrite(a, bytes([i]) * 5000, i * 5000)
    assert os.pread(b, 5000, i * 5000) == bytes([i]) * 5000, i
os.close(a)
os.close(b)' "$M/f" || fail "what was written was not read"
    check_eq "size" "$(oc list | cut -f 2)" 1000000
}

# A file is renamed while it is written, and its upload begun anew; it is synced before the old upload is
# gone, and written again after that.
t_written_after_abort() { # s3
    make_file "$T/new" $((2 * part_size + 5))
    oc faults '[{"operation":"AbortMultipartUpload","delay_ms":1000}]'
    check "write, rename, sync, and write again" run_limited 90 env OBS_PORT="$OBS_PORT" OBS_KEYS="$T/keys" \
        python3 - "$M/f" "$T/new" "$top" $((3 * part_size)) <<'EOF_PY'
import os, subprocess, sys, time
path, new, top, size = sys.argv[1:]
client = [sys.executable, top + "/tests/lib/obsclient.py"]
uploads = lambda: subprocess.run(client + ["uploads"], check=True, capture_output=True).stdout
fd = os.open(path, os.O_RDWR | os.O_CREAT)
os.write(fd, bytes(int(size)))
while not uploads():
    time.sleep(0.1)
os.rename(path, path + "2")
os.fsync(fd)
while uploads():
    time.sleep(0.1)
time.sleep(2) # the driver has the answer too
os.ftruncate(fd, 0)
os.lseek(fd, 0, os.SEEK_SET)
with open(new, "rb") as f:
    left = f.read()
while left:
    left = left[os.write(fd, left):]
os.close(fd)
EOF_PY
    check "content" cmp "$T/new" "$M/f2"
    remount
    check "content" cmp "$T/new" "$M/f2"
    check_eq "journals" "$(find "$T/state" -name '*.journal' -o -name '*.data')" ""
}

. "$(dirname "$0")/lib.sh"
