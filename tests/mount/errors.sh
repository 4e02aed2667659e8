#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# errors.sh - what goes wrong is told to who did it, with the right number, and has a reason in the log.

# Runs a python program on the mount's path; it has `expect(errno name, function, arguments...)`.
python_case() {
    python3 - "$M" "$@" <<EOF_PY || fail "see above"
import errno, os, sys
M = sys.argv[1]

def expect(name, function, *arguments):
    try:
        function(*arguments)
    except OSError as e:
        got = errno.errorcode[e.errno]
        assert got in name.split("|"), f"{function.__name__}{arguments}: {got}, not {name}"
        return
    raise AssertionError(f"{function.__name__}{arguments}: no error, not {name}")

def write_all(path, data, flags=os.O_CREAT | os.O_TRUNC):
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)

$(cat)
EOF_PY
}

read_only_key() {
    (umask 077 && echo "readonlykey:readonlysecret" >"$T/rokeys")
    oc credentials '{"add_read_only": ["readonlykey:readonlysecret"]}'
    remount "credential_file=$T/rokeys${1:+,$1}"
}

t_read_only_key() { # s3
    echo old | oc put f >/dev/null
    oc put d/ /dev/null >/dev/null
    oc put d/f /dev/null >/dev/null
    read_only_key attr=sync
    python_case <<'EOF_PY'
assert open(M + "/f").read() == "old\n"
expect("EACCES", write_all, M + "/f", b"new")
expect("EACCES", write_all, M + "/g", b"new")
fd = os.open(M + "/h", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"x")
expect("EACCES", os.fsync, fd)
os.close(fd)
expect("EACCES", os.unlink, M + "/f")
expect("EACCES", os.mkdir, M + "/e")
expect("EACCES", os.rmdir, M + "/d") if not os.listdir(M + "/d") else None
expect("EACCES", os.rename, M + "/f", M + "/g2")
expect("EACCES", os.symlink, "x", M + "/l")
expect("EACCES", os.chmod, M + "/f", 0o600)
expect("EACCES", os.truncate, M + "/f", 1)
assert open(M + "/f").read() == "old\n"
EOF_PY
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" "d/ d/f f"
    check_eq "content" "$(oc get f)" old
    grep -q AccessDenied "$T/mount.log" || fail "the log does not say why"
}

# Gathered changes that are refused in the end: the next change or open says it, once.
t_read_only_key_gathered() { # s3-long
    echo old | oc put f >/dev/null
    read_only_key
    chmod 600 "$M/f" || fail "a gathered change is answered at once"
    sleep 1
    fails "Permission denied" cat "$M/f"
    check_eq "the second time" "$(cat "$M/f")" old
    check_eq "the mode is what it was" "$(stat -c %a "$M/f")" 644
}

# A large file: parts are refused while it is still being written.
t_read_only_key_large() { # s3
    read_only_key
    fails "Permission denied" dd if=/dev/zero of="$M/f" bs=1M count=$((part_size * 4 >> 20)) status=none
    fails "No such file" stat "$M/f"
    check_eq "objects and uploads" "$(oc list)$(oc uploads)" ""
}

t_kinds() { # s3
    oc put d/f /dev/null >/dev/null
    oc put f /dev/null >/dev/null
    python_case <<'EOF_PY'
expect("ENOENT", os.open, M + "/none", os.O_RDONLY)
expect("ENOENT", os.open, M + "/none/f", os.O_WRONLY | os.O_CREAT)
expect("ENOENT", os.unlink, M + "/none")
expect("ENOENT", os.rmdir, M + "/none")
expect("EISDIR", os.open, M + "/d", os.O_WRONLY)
expect("EISDIR|EPERM", os.unlink, M + "/d")
expect("ENOTDIR", os.rmdir, M + "/f")
expect("ENOTDIR", os.open, M + "/f/x", os.O_RDONLY)
expect("ENOTDIR", os.mkdir, M + "/f/x")
expect("ENOTDIR", os.listdir, M + "/f")
expect("EEXIST", os.mkdir, M + "/d")
expect("EEXIST", os.mkdir, M + "/f")
expect("EEXIST", os.symlink, "x", M + "/f")
expect("ENOTEMPTY", os.rmdir, M + "/d")
expect("EINVAL", os.readlink, M + "/f")
expect("EBUSY|ENOTEMPTY", os.rmdir, M)
EOF_PY
}

t_file_too_large() { # s3
    python_case <<'EOF_PY'
fd = os.open(M + "/f", os.O_RDWR | os.O_CREAT)
expect("EFBIG", os.pwrite, fd, b"x", 1 << 62)
expect("EFBIG", os.ftruncate, fd, 1 << 61)
os.write(fd, b"fine")
os.close(fd)
EOF_PY
    check_eq "content" "$(oc get f)" fine
}

t_mounted_read_only() { # s3-long
    echo old | oc put f >/dev/null
    remount ro
    python_case <<'EOF_PY'
assert open(M + "/f").read() == "old\n"
expect("EROFS", os.open, M + "/f", os.O_WRONLY)
expect("EROFS", os.open, M + "/g", os.O_WRONLY | os.O_CREAT)
expect("EROFS", os.unlink, M + "/f")
expect("EROFS", os.mkdir, M + "/d")
expect("EROFS", os.chmod, M + "/f", 0o600)
expect("EROFS", os.rename, M + "/f", M + "/g")
expect("EROFS", os.truncate, M + "/f", 0)
expect("EROFS", os.setxattr, M + "/f", "user.a", b"1")
EOF_PY
    findmnt -no OPTIONS "$M" | grep -qw ro || fail "findmnt does not say ro"
}

# Nobody but who may: the kernel checks modes and owners.
t_permissions() { # s3-long
    command -v setpriv >/dev/null || skip "setpriv is not installed"
    remount allow_other
    echo mine >"$M/f"
    chmod 600 "$M/f"
    echo all >"$M/g"
    mkdir -m 700 "$M/d"
    chmod 755 "$T" "$M"
    local nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fails "Permission denied" "${nobody[@]}" cat "$M/f"
    check_eq "readable" "$("${nobody[@]}" cat "$M/g")" all
    fails "Permission denied" "${nobody[@]}" ls "$M/d"
    fails "Permission denied" "${nobody[@]}" touch "$M/new"
    fails "Operation not permitted" "${nobody[@]}" chmod 777 "$M/g"
    chmod 1777 "$M"
    check "may write now" "${nobody[@]}" touch "$M/new"
    check_eq "its owner" "$(stat -c %u "$M/new")" 65534
}

# The service fails for good: told at close, the old version stays.
t_service_fails_for_good() { # s3
    echo old | oc put f >/dev/null
    remount retry_time=1s
    oc faults '[{"operation": "PutObject", "key": "f", "count": -1, "status": 500, "code": "InternalError"}]'
    python_case <<'EOF_PY'
expect("EIO", write_all, M + "/f", b"new")
EOF_PY
    oc faults '[]'
    check_eq "content" "$(oc get f)" old
    check_eq "by the mount" "$(cat "$M/f")" old
    grep -q InternalError "$T/mount.log" || fail "the log does not say why"
    echo newer >"$M/f"
    check_eq "afterwards" "$(oc get f)" newer
}

# A part of a large file fails for good.
t_part_fails_for_good() { # s3
    echo old | oc put f >/dev/null
    remount retry_time=1s
    oc faults '[{"operation": "UploadPart", "skip": 1, "count": -1, "status": 500, "code": "InternalError"}]'
    python_case "$part_size" <<'EOF_PY'
expect("EIO", write_all, M + "/f", b"x" * (int(sys.argv[2]) * 4))
EOF_PY
    oc faults '[]'
    check_eq "content" "$(oc get f)" old
    check_eq "by the mount" "$(cat "$M/f")" old
}

t_quota() { # s3-long
    remount retry_time=1s
    oc faults '[{"operation": "PutObject", "count": -1, "status": 403, "code": "InsufficientStorageSpace"}]'
    python_case <<'EOF_PY'
expect("EDQUOT", write_all, M + "/f", b"new")
EOF_PY
    oc faults '[]'
}

# Short failures of all kinds are repeated: nobody notices.
t_short_failures() { # s3
    make_file "$T/f" $((part_size * 4 + 77))
    oc faults '[{"operation": "InitiateMultipartUpload", "count": 1, "status": 503, "code": "SlowDown"},
        {"operation": "UploadPart", "count": 2, "status": 500, "code": "InternalError"},
        {"operation": "UploadPart", "count": 1, "reset_after_bytes_in": 300000},
        {"operation": "UploadPart", "count": 1, "reset": "after"},
        {"operation": "UploadPart", "count": 1, "wrong_etag": true},
        {"operation": "CompleteMultipartUpload", "count": 1, "reset": "after"}]'
    check "cp" cp "$T/f" "$M/f"
    oc faults '[]'
    oc get f >"$T/got"
    check "stored" cmp "$T/f" "$T/got"
    drop_pages
    oc faults '[{"operation": "GetObject", "count": 1, "status": 503, "code": "SlowDown"},
        {"operation": "GetObject", "count": 2, "cut_after_bytes": 70000},
        {"operation": "GetObject", "count": 1, "reset": "before"},
        {"operation": "HeadObject", "count": 1, "status": 500},
        {"operation": "ListObjects", "count": 1, "status": 503}]'
    check "read" cmp "$T/f" "$M/f"
}

t_short_failures_small() { # s3
    oc faults '[{"operation": "PutObject", "count": 1, "status": 503, "code": "SlowDown"},
        {"operation": "PutObject", "count": 1, "reset": "after"},
        {"operation": "PutObject", "count": 1, "wrong_etag": true},
        {"operation": "DeleteObject", "count": 1, "reset": "after"}]'
    echo content >"$M/f" || fail "write"
    check_eq "content" "$(oc get f)" content
    check "rm" rm "$M/f"
    check_eq "objects" "$(oc list)" ""
}

# The service goes away and comes back while files are written and read.
t_service_restarts() { # s3
    make_file "$T/f" $((part_size * 3))
    cp "$T/f" "$M/a"
    drop_pages
    ls "$M" >/dev/null
    service_stop
    cp "$T/f" "$M/b" &
    local writer=$!
    cmp "$T/f" "$M/a" &
    local reader=$!
    sleep 1
    service_start
    wait "$writer" || fail "the writer"
    wait "$reader" || fail "the reader"
    oc get b >"$T/got"
    check "content" cmp "$T/f" "$T/got"
}

# A stalled upload stops neither ls nor another file, and Ctrl-C ends the wait.
t_stalled_upload() { # s3
    oc faults '[{"operation": "PutObject", "key": "stuck", "count": -1, "stall": true}]'
    (exec sh -c 'echo x >"$1"' _ "$M/stuck") &
    local writer=$!
    sleep 0.5
    check "ls" run_limited 10 ls -l "$M" >/dev/null
    check "another file" run_limited 10 sh -c 'echo y >"$1"' _ "$M/other"
    check_eq "another file" "$(oc get other)" y
    kill -KILL "$writer"
    wait_gone "$writer" 10 || fail "the writer cannot be killed"
    wait "$writer" 2>/dev/null
    oc faults '[]'
}

t_stalled_read_is_interrupted() { # s3-long
    make_file "$T/f" $((part_size * 2))
    oc put f "$T/f" >/dev/null
    drop_pages
    oc faults '[{"operation": "GetObject", "key": "f", "count": -1, "stall": true}]'
    cat "$M/f" >/dev/null &
    local reader=$!
    sleep 0.5
    check "ls" run_limited 10 ls -l "$M" >/dev/null
    kill -INT "$reader" 2>/dev/null
    kill -TERM "$reader"
    wait_gone "$reader" 10 || fail "the reader cannot be ended"
    wait "$reader" 2>/dev/null
    oc faults '[]'
    check "afterwards" cmp "$T/f" "$M/f"
}

# What the service sends is not what it says: never handed on.
t_lying_service() { # s3-long
    make_file "$T/f" $((part_size + 5000))
    oc put f "$T/f" >/dev/null
    drop_pages retry_time=2s
    oc faults '[{"operation": "GetObject", "count": 1, "short_body": 100}, {"operation": "GetObject", "count": 1, "long_body": 100}]'
    check "content" cmp "$T/f" "$M/f"
    oc faults '[]'
}

# A rename that has to store the file first waits no longer than rename_wait; it is stored later.
t_rename_wait() {
    remount rename_wait=1s
    echo old | oc put f >/dev/null
    oc faults '[{"operation": "PutObject", "key": "f", "count": -1, "status": 503, "code": "SlowDown"}]'
    python_case <<'EOF_PY'
write_all(M + "/.f.Ab12Cd", b"new")
expect("ETIMEDOUT", os.rename, M + "/.f.Ab12Cd", M + "/f")
EOF_PY
    check_eq "content" "$(oc get f)" old
    oc faults '[]'
}

# Each open handle is told once.
t_error_is_told_once() { # s3-long
    remount retry_time=1s
    oc faults '[{"operation": "PutObject", "count": 1, "status": 403, "code": "AccessDenied"}]'
    python_case <<'EOF_PY'
fd = os.open(M + "/f", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"data")
expect("EACCES", os.fsync, fd)
os.write(fd, b"more")
os.fsync(fd)
os.close(fd)
EOF_PY
}

# A file whose new content was promised, not sent yet, is to be removed, and replaced: both are refused.
tx_refused_removal() { # s3 timeout=180
    service_start
    mounted_with durability=stage
    echo old >"$M/f"
    echo other >"$M/other"
    check "drain" printf drain >"$M/.obsmount/ctl"
    oc faults '[{"operation":"PutObject","count":-1,"status":403,"code":"AccessDenied"},
        {"operation":"DeleteObject","count":-1,"status":403,"code":"AccessDenied"},
        {"operation":"CopyObject","count":-1,"status":403,"code":"AccessDenied"}]'
    echo new >"$M/f"
    wait_until grep -qw failed "$M/.obsmount/uploads"
    fails "Permission denied" rm "$M/f"
    check_eq "content" "$(cat "$M/f")" new
    fails "Permission denied" mv -T "$M/other" "$M/f"
    check_eq "content" "$(cat "$M/f") $(cat "$M/other")" "new other"
    check_eq "stored" "$(oc get f)" old
    kill_driver
    oc faults '[]'
    mounted_with durability=stage
    check_eq "after a crash" "$(cat "$M/f") $(cat "$M/other")" "new other"
    check "drain" printf drain >"$M/.obsmount/ctl"
    check_eq "stored" "$(oc get f)" new
    check "rm" rm "$M/f"
    check_eq "objects" "$(oc list | cut -f 1)" other
}

. "$(dirname "$0")/lib.sh"
