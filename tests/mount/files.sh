#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# files.sh - what programs do to one file; the same is done to a file on the local disk and compared.

# The local file and the object begin equal.
begin() { # SIZE
    make_file "$T/local" "$1"
    oc put f "$T/local" >/dev/null
}

# Runs CMD with @ replaced by the local file, then by the mounted one.
both() {
    check "on the disk" "${@//@/$T/local}"
    check "in the mount" "${@//@/$M/f}"
}

same_everywhere() {
    check "content" cmp "$T/local" "$M/f"
    check_eq "size" "$(stat -c %s "$M/f")" "$(stat -c %s "$T/local")"
    drop_pages
    check "content after a remount" cmp "$T/local" "$M/f"
    check_eq "objects" "$(oc list | cut -f 1)" f
}

append() { # TEXT FILE
    echo "$1" >>"$2"
}

t_append_small() { # s3
    begin 10
    both append more @
    same_everywhere
}

t_append_large() { # s3
    begin $((part_size * 3 + 77))
    both append more @
    same_everywhere
}

t_append_repeatedly() { # s3-long
    local i
    for i in $(seq 30); do both append "line $i" @; done
    same_everywhere
}

# Two processes append at the same time: no line is lost or torn.
t_append_by_two() { # s3-long
    local pids=() n
    for n in a b; do
        (
            exec >>"$M/f"
            for i in $(seq 100); do echo "$n$i"; done
        ) &
        pids+=($!)
    done
    wait "${pids[@]}"
    check_eq "lines" "$(oc get f | sort | md5sum)" \
        "$(for n in a b; do for i in $(seq 100); do echo "$n$i"; done; done | sort | md5sum)"
}

overwrite() { # SIZE OFFSET LENGTH
    begin "$1"
    make_file "$T/piece" "$3"
    both dd if="$T/piece" of=@ bs=64k oflag=seek_bytes seek="$2" conv=notrunc status=none
    same_everywhere
}

t_overwrite_in_small() { # s3-long
    overwrite 5000 100 50
}

t_overwrite_in_large() { # s3
    overwrite $((part_size * 4 + 9)) $((part_size + 12345)) 1000
}

t_overwrite_across_parts() { # s3
    overwrite $((part_size * 4 + 9)) $((part_size * 2 - 500)) 1000
}

t_overwrite_last_byte() { # s3-long
    overwrite $((part_size * 2 + 9)) $((part_size * 2 + 8)) 1
}

t_overwrite_beyond_end() { # s3-long
    overwrite 1000 $((part_size + 5)) 100
}

# Only the part that was changed is sent; the server copies the others.
t_overwrite_sends_one_part() { # s3
    begin $((part_size * 4 + 9))
    make_file "$T/piece" 1000
    oc reset
    both dd if="$T/piece" of=@ bs=1000 oflag=seek_bytes seek=$((part_size + 5)) conv=notrunc status=none
    [ "$(requests UploadPart)" -le 2 ] || fail "$(requests UploadPart) parts were sent"
    [ "$(requests CopyPart)" -ge 1 ] || fail "no part was copied"
    same_everywhere
}

# The same at the end: the last part, if it was not full, and what is new.
t_append_sends_one_part() { # s3-long
    begin $((part_size * 4 + 9))
    make_file "$T/piece" 4096
    oc reset
    both dd if="$T/piece" of=@ bs=4096 oflag=append conv=notrunc status=none
    check_eq "parts that were sent" "$(requests UploadPart)" 1
    check_eq "parts that were copied" "$(requests CopyPart)" 4
    same_everywhere
}

t_truncate_to_zero() { # s3
    begin $((part_size * 2 + 9))
    both truncate -s 0 @
    same_everywhere
}

t_truncate_small_down() { # s3-long
    begin 5000
    both truncate -s 123 @
    same_everywhere
}

t_truncate_large_down() { # s3
    begin $((part_size * 3 + 9))
    both truncate -s $((part_size * 2 - 17)) @
    same_everywhere
}

t_truncate_small_up() { # s3-long
    begin 5000
    both truncate -s 100000 @
    same_everywhere
}

t_truncate_large_up() { # s3
    begin $((part_size + 9))
    both truncate -s $((part_size * 3 + 17)) @
    same_everywhere
}

# Down and up again through one handle: what was cut off reads as zeros.
t_truncate_down_and_up() { # s3-long
    begin $((part_size * 2))
    both python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
size = os.fstat(fd).st_size
os.ftruncate(fd, size // 2 - 5)
os.ftruncate(fd, size)
os.pwrite(fd, b"end", size - 3)
os.close(fd)' @
    same_everywhere
}

# To nothing, when parts of it have been sent already.
t_truncate_after_parts() { # s3
    begin 5000
    both python3 -c '
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
for i in range(12):
    os.write(fd, bytes([65 + i]) * 1000000)
time.sleep(0.3)
os.ftruncate(fd, 0)
os.close(fd)' @
    same_everywhere
}

t_sparse_writes() { # s3
    both python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for off in (3000000, 0, 1500000, 12345678):
    os.pwrite(fd, b"x" * 1000, off)
os.close(fd)' @
    same_everywhere
}

# Backwards, in small pieces: parts fill from their ends.
t_backward_writes() { # s3-long
    both python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
piece = 100000
for i in range(70, -1, -1):
    os.pwrite(fd, bytes([i]) * piece, i * piece)
os.close(fd)' @
    same_everywhere
}

# A part that has been sent already is changed again before close.
t_rewrite_sent_part() { # s3
    both python3 -c '
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for i in range(12):
    os.write(fd, bytes([65 + i]) * 1000000)
time.sleep(0.3)
os.pwrite(fd, b"header", 0)
assert os.pread(fd, 8, 0) == b"headerAA"
os.pwrite(fd, b"middle", 5500000)
os.close(fd)' @
    same_everywhere
}

t_fallocate() { # s3-long
    begin 1000
    both fallocate -l 200000 @
    both fallocate -p -o 100 -l 500 @
    both fallocate -z -o 5000 -l 100 @
    fails "not supported" fallocate -c -o 0 -l 4096 "$M/f"
    same_everywhere
}

t_fallocate_keep_size() {
    begin 1000
    both fallocate -n -l 200000 @
    same_everywhere
}

t_mmap_write() { # s3
    begin $((part_size + 4321))
    both python3 -c '
import mmap, sys
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    m[10:20] = b"0123456789"
    m[len(m) - 4:] = b"last"
    m.flush()
    m.close()' @
    same_everywhere
}

# Without msync: stored when the last descriptor goes.
t_mmap_write_no_msync() { # s3-long
    begin 100000
    both python3 -c '
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 0)
os.close(fd)
m[5000:5010] = b"0123456789"
m.close()' @
    # the kernel releases the file after munmap; its data may come a moment later
    sleep 0.5
    same_everywhere
}

t_mmap_read() { # s3-long
    begin $((part_size * 2 + 4321))
    drop_pages
    both python3 -c '
import mmap, sys
with open(sys.argv[1], "rb") as f, open(sys.argv[2], "rb") as g:
    m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    assert m[:] == g.read()' @ "$T/local"
}

t_exclusive_create() { # s3-long
    both python3 -c '
import os, sys
os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL))
try:
    os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
except FileExistsError:
    sys.exit(0)
sys.exit(1)' @
    same_everywhere
}

# The object was put by somebody else after the directory was listed: seen when the listing is old.
tx_exclusive_create_behind() { # s3-long
    service_start
    mounted_with meta_ttl=0
    ls "$M" >/dev/null
    echo theirs | oc put f >/dev/null
    fails "File exists" python3 -c '
import os, sys
os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL)' "$M/f"
    check_eq "theirs is there" "$(oc get f)" theirs
}

t_name_used_again() { # s3-long
    echo one >"$M/f"
    rm "$M/f"
    echo two >"$M/f"
    check_eq "content" "$(oc get f)" two
    rm "$M/f"
    check_eq "objects" "$(oc list)" ""
}

# Unlinked while open: still readable and writable by its holder, gone for all others.
unlink_while_open() { # SIZE
    begin "$1"
    drop_pages
    python3 - "$M/f" "$T/local" <<'EOF_PY' || fail "the holder of a removed file"
import os, sys
want = open(sys.argv[2], "rb").read()
fd = os.open(sys.argv[1], os.O_RDWR)
assert os.pread(fd, 100, 0) == want[:100]
os.unlink(sys.argv[1])
assert not os.path.exists(sys.argv[1])
got = b""
while len(got) < len(want):
    got += os.pread(fd, 1 << 20, len(got))
assert got == want
assert os.fstat(fd).st_size == len(want)
os.pwrite(fd, b"changed", 0)
assert os.pread(fd, 7, 0) == b"changed"
os.close(fd)
EOF_PY
    check_eq "objects" "$(oc list)" ""
    leave
    check_eq "objects after umount" "$(oc list)" ""
    mounted_with
}

t_unlink_while_open_small() { # s3-long
    unlink_while_open 1000
}

t_unlink_while_open_large() { # s3
    unlink_while_open $((part_size * 2 + 1000))
}

# Larger than unlink_keep: what was not read before is gone.
tx_unlink_beyond_keep() {
    service_start
    mounted_with unlink_keep=1000
    begin $((16 << 20))
    ls "$M" >/dev/null
    python3 - "$M/f" "$T/local" <<'EOF_PY' || fail "the holder of a removed file"
import errno, os, sys
want = open(sys.argv[2], "rb").read()
fd = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
assert os.pread(fd, 4096, 0) == want[:4096]
os.unlink(sys.argv[1])
assert os.pread(fd, 4096, 0) == want[:4096]
try:
    os.pread(fd, 4096, len(want) - 4096)
except OSError as e:
    assert e.errno == errno.ESTALE, e
else:
    sys.exit("what nobody has kept was read")
EOF_PY
    check_eq "objects" "$(oc list)" ""
}

# Never stored: created, removed, then used.
t_unlink_new_while_open() { # s3-long
    python3 - "$M/f" <<'EOF_PY' || fail "the holder of a removed file"
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.write(fd, b"a" * 7000000)
os.unlink(sys.argv[1])
os.write(fd, b"b" * 1000)
assert os.pread(fd, 1000, 7000000) == b"b" * 1000
assert os.fstat(fd).st_nlink == 0
os.close(fd)
EOF_PY
    leave
    check_eq "objects" "$(oc list)$(oc uploads)" ""
    mounted_with
}

# Renamed while it is being written: stored under the new name.
t_rename_while_writing() { # s3
    local size
    for size in 1000 $((part_size * 2 + 1000)); do
        python3 - "$M/f" "$M/g" "$size" <<'EOF_PY' || fail "the writer"
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.write(fd, b"a" * int(sys.argv[3]))
os.rename(sys.argv[1], sys.argv[2])
os.write(fd, b"tail")
os.close(fd)
EOF_PY
        check_eq "objects" "$(oc list | cut -f 1,2)" $'g\t'$((size + 4))
        check_eq "its end" "$(tail -c 4 "$M/g")" tail
    done
}

# Renamed while it is read.
t_rename_while_reading() { # s3
    begin $((part_size * 3 + 11))
    drop_pages
    python3 - "$M/f" "$M/g" "$T/local" <<'EOF_PY' || fail "the reader"
import os, sys
want = open(sys.argv[3], "rb").read()
fd = os.open(sys.argv[1], os.O_RDONLY)
assert os.pread(fd, 10, 0) == want[:10]
os.rename(sys.argv[1], sys.argv[2])
got = b""
while len(got) < len(want):
    piece = os.pread(fd, 1 << 20, len(got))
    assert piece
    got += piece
assert got == want
os.close(fd)
EOF_PY
    check_eq "objects" "$(oc list | cut -f 1)" g
    check "content" cmp "$T/local" "$M/g"
}

# Read on while the service deletes the old object, and has not answered yet.
t_read_within_rename() { # s3-long
    begin $((8 << 20))
    mkdir "$M/d"
    oc put d/f "$T/local" >/dev/null
    oc put refused "$T/local" >/dev/null
    drop_pages
    oc faults '[{"operation": "DeleteObject", "key": "f", "count": -1, "stall_ms": 1500},
                {"operation": "DeleteObjects", "count": -1, "stall_ms": 1500},
                {"operation": "DeleteObject", "key": "refused", "count": -1, "status": 403, "code": "AccessDenied"}]'
    check "reader" python3 - "$M" "$T/local" <<'EOF_PY'
import os, sys, threading, time
os.chdir(sys.argv[1])
want = open(sys.argv[2], "rb").read()

def read_within(path, old, new):
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    assert os.pread(fd, 4096, 0) == want[:4096]
    mover = threading.Thread(target=os.rename, args=(old, new))
    mover.start()
    time.sleep(0.7)
    for off in range(1 << 20, len(want), 1 << 20):
        assert os.pread(fd, 4096, off) == want[off:off + 4096], (path, off)
    mover.join()
    assert os.pread(fd, 4096, 5000000) == want[5000000:5004096]
    os.close(fd)

read_within("f", "f", "g")
read_within("d/f", "d", "e")
fd = os.open("refused", os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
assert os.pread(fd, 4096, 0) == want[:4096]
try:
    os.rename("refused", "h")
except PermissionError:
    pass
else:
    sys.exit("the rename was not refused")
assert os.pread(fd, 4096, 3000000) == want[3000000:3004096]
EOF_PY
    oc faults '[]'
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" "e/ e/f g refused"
}

t_rename_over_existing() { # s3-long
    begin 1000
    make_file "$T/other" $((part_size + 100))
    cp "$T/other" "$M/g"
    check "mv" mv "$M/g" "$M/f"
    cp "$T/other" "$T/local"
    same_everywhere
}

# Renamed over a file that somebody reads: he reads the old one to its end.
# Attributes of the file that is replaced, changed a moment ago, do not reach the one that takes its place.
t_rename_over_changed() { # s3-long
    echo new >"$M/f"
    chmod 600 "$M/f"
    echo old >"$M/g"
    sync "$M/f" "$M/g"
    oc faults '[{"operation":"DeleteObject","count":-1,"delay_ms":400}]'
    chmod 640 "$M/g"
    check "mv" mv "$M/f" "$M/g"
    oc faults '[]'
    check_eq "mode" "$(stat -c %a "$M/g")" 600
    drop_pages
    check_eq "mode after a remount" "$(stat -c %a "$M/g")" 600
    check_eq "content" "$(cat "$M/g")" new
}

t_rename_over_open() { # s3
    begin $((part_size + 1000))
    drop_pages
    python3 - "$M/f" "$M/g" "$T/local" <<'EOF_PY' || fail "the reader of the replaced file"
import os, sys
want = open(sys.argv[3], "rb").read()
fd = os.open(sys.argv[1], os.O_RDONLY)
with open(sys.argv[2], "wb") as g:
    g.write(b"new" * 1000)
os.rename(sys.argv[2], sys.argv[1])
got = b""
while len(got) < len(want):
    piece = os.pread(fd, 1 << 20, len(got))
    assert piece
    got += piece
assert got == want
assert open(sys.argv[1], "rb").read() == b"new" * 1000
EOF_PY
}

t_chmod_chown_touch() { # s3
    begin 100
    check "chmod" chmod 640 "$M/f"
    check "chown" chown 42:43 "$M/f"
    check "touch" touch -d "2001-02-03 04:05:06.789 UTC" "$M/f"
    check_eq "at once" "$(stat -c '%a %u %g %.3Y' "$M/f")" "640 42 43 981173106.789"
    drop_pages
    check_eq "after a remount" "$(stat -c '%a %u %g %.3Y' "$M/f")" "640 42 43 981173106.789"
    check "content" cmp "$T/local" "$M/f"
}

# Changed while it is open for writing, and then stored with them.
t_chmod_while_writing() { # s3
    python3 - "$M/f" <<'EOF_PY' || fail "the writer"
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
os.write(fd, b"a" * 7000000)
os.fchmod(fd, 0o600)
os.fchown(fd, 7, 8)
os.utime(fd, ns=(5000000001, 6000000002))
os.close(fd)
EOF_PY
    check_eq "at once" "$(stat -c '%a %u %g %.9Y' "$M/f")" "600 7 8 6.000000002"
    drop_pages
    check_eq "after a remount" "$(stat -c '%a %u %g %.9Y' "$M/f")" "600 7 8 6.000000002"
}

t_large_chmod_copies_nothing() {
    begin $((part_size * 2 + 100))
    drop_pages
    stat "$M/f" >/dev/null
    oc reset
    chmod 600 "$M/f"
    chown 1:2 "$M/f"
    touch -d @77 "$M/f"
    sleep 0.4
    check_eq "metadata requests" "$(requests SetObjectMetadata)" 1
    check_eq "PUTs, copies, deletes" "$(puts_copies_deletes)" "0 0 0"
}

t_symlink() { # s3
    local target=/somewhere/else\ with/üñí
    check "ln -s" ln -s "$target" "$M/link"
    check_eq "readlink" "$(readlink "$M/link")" "$target"
    check_eq "kind" "$(stat -c %F "$M/link")" "symbolic link"
    drop_pages
    check_eq "readlink after a remount" "$(readlink "$M/link")" "$target"
    check_eq "kind" "$(stat -c %F "$M/link")" "symbolic link"
    echo content >"$M/f"
    ln -s f "$M/l2"
    check_eq "through the link" "$(cat "$M/l2")" content
    check_eq "size" "$(stat -c %s "$M/l2")" 1
    rm "$M/link"
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" "f l2"
}

t_long_symlink() { # s3-long
    local target
    target=$(printf '%04000d' 7)
    check "ln -s" ln -s "$target" "$M/link"
    drop_pages
    check_eq "readlink" "$(readlink "$M/link")" "$target"
}

t_hard_link_is_refused() { # s3-long
    begin 10
    fails "Operation not permitted" ln "$M/f" "$M/g"
    check_eq "objects" "$(oc list | cut -f 1)" f
}

# Kept as s3fs keeps them: an empty object whose mode says what it is.
t_special_files() { # s3
    check "mkfifo" mkfifo -m 640 "$M/fifo"
    check "mknod" mknod "$M/null" c 1 3
    check "mknod" mknod "$M/disk" b 8 17
    check "socket" python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$M/sock"
    drop_pages dev
    check_eq "fifo" "$(stat -c '%F %a' "$M/fifo")" "fifo 640"
    check_eq "device" "$(stat -c '%F %t,%T' "$M/null")" "character special file 1,3"
    check_eq "device" "$(stat -c '%F %t,%T' "$M/disk")" "block special file 8,11"
    check_eq "socket" "$(stat -c '%F' "$M/sock")" "socket"
}

# The regular files of mknod(2).
t_mknod_regular() { # s3-long
    check "mknod" python3 -c 'import os, stat, sys; os.mknod(sys.argv[1], 0o604 | stat.S_IFREG)' "$M/f"
    check_eq "mode" "$(stat -c '%a %s' "$M/f")" "604 0"
    drop_pages
    check_eq "mode" "$(stat -c '%a %s' "$M/f")" "604 0"
}

t_xattrs() { # s3
    begin 100
    command -v setfattr >/dev/null || skip "setfattr is not installed"
    check "set" setfattr -n user.color -v green "$M/f"
    check "set" setfattr -n user.raw -v 0x00ff10 "$M/f"
    check "set" setfattr -n user.gone -v x "$M/f"
    check "remove" setfattr -x user.gone "$M/f"
    check_eq "get" "$(getfattr --absolute-names -n user.color --only-values "$M/f")" green
    drop_pages
    check_eq "get after a remount" "$(getfattr --absolute-names -n user.color --only-values "$M/f")" green
    check_eq "bytes" "$(getfattr --absolute-names -e hex -n user.raw --only-values "$M/f" | od -An -tx1 | xargs)" "00 ff 10"
    check_eq "names" "$(getfattr --absolute-names -d "$M/f" | grep -o '^user\.[a-z]*' | xargs)" "user.color user.raw"
    fails "No such attribute" getfattr -n user.gone "$M/f"
    check "content" cmp "$T/local" "$M/f"
}

t_xattrs_go_with_cp() { # s3-long
    command -v setfattr >/dev/null || skip "setfattr is not installed"
    begin 100
    setfattr -n user.a -v 1 "$T/local" 2>/dev/null || skip "$T takes no user xattrs"
    check "cp" cp --preserve=all "$T/local" "$M/g"
    check "cp -a" cp -a "$M/g" "$M/h"
    drop_pages
    check_eq "get" "$(getfattr --absolute-names -n user.a --only-values "$M/h")" 1
}

t_xattr_create_replace() {
    begin 100
    check "flags" python3 -c '
import os, sys, errno, struct
p = sys.argv[1]
acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", t, 6, 0xffffffff) for t in (1, 4, 32))
os.setxattr(p, "user.a", b"1", os.XATTR_CREATE)
for flag, want, name in ((os.XATTR_CREATE, errno.EEXIST, "user.a"), (os.XATTR_REPLACE, errno.ENODATA, "user.b")):
    try:
        os.setxattr(p, name, b"2", flag)
        sys.exit(f"{name}: no error")
    except OSError as e:
        assert e.errno == want, e
for name in ("trusted.x", "system.posix_acl_access", "security.x"):
    try:
        os.setxattr(p, name, acl)
        sys.exit(f"{name}: no error")
    except OSError as e:
        assert e.errno in (errno.EOPNOTSUPP, errno.EPERM), (name, e)' "$M/f"
}

# All metadata together are limited to 8 KB.
t_xattr_too_large() {
    begin 100
    fails "No space left" python3 -c '
import os, sys
os.setxattr(sys.argv[1], "user.big", b"x" * 9000)' "$M/f"
    check_eq "names" "$(getfattr --absolute-names -d "$M/f")" ""
}

t_statfs() { # s3-long
    check "df" df "$M" >/dev/null
    check_eq "type" "$(df --output=fstype "$M" | tail -n 1)" fuse.obsmount
    [ "$(stat -f -c %a "$M")" -gt 1000000 ] || fail "df shows no space"
    check_eq "longest name" "$(stat -f -c %l "$M")" 255
}

t_o_direct() { # s3-long
    make_file "$T/local" $((1 << 20))
    check "dd in" dd if="$T/local" of="$M/f" bs=128k oflag=direct status=none
    check "dd out" dd if="$M/f" of="$T/out" bs=128k iflag=direct status=none
    check "content" cmp "$T/local" "$T/out"
    same_everywhere
}

t_o_sync() { # s3
    make_file "$T/local" 300000
    oc reset
    check "dd" dd if="$T/local" of="$M/f" bs=10000 oflag=sync status=none
    check_eq "PUTs" "$(requests PutObject UploadPart)" 1
    same_everywhere
}

# What was written with O_SYNC is on the local disk, with its journal; only close stores it.
t_o_sync_is_local() {
    oc reset
    check "writer" python3 - "$M/f" "$T/state" "$OBS_PORT" "$top/tests/lib" <<'EOF_PY'
import glob, os, sys
sys.path.insert(0, sys.argv[4])
import obsclient
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_SYNC)
os.write(fd, b"synced" * 500)
os.fsync(fd)
[data] = glob.glob(sys.argv[2] + "/*/*.data")
assert open(data, "rb").read() == b"synced" * 500
assert os.path.getsize(data[:-5] + ".journal") > 0
operations = obsclient.admin(int(sys.argv[3]), "GET", "/-/requests")["operations"]
assert operations.get("PutObject", {"count": 0})["count"] == 0
os.close(fd)
EOF_PY
    check_eq "PUTs" "$(requests PutObject UploadPart)" 1
    check_eq "size" "$(oc list f | cut -f 2)" 3000
}

# A small object that is changed: fetched once, stored as a whole once.
t_change_small_costs() { # s3-long
    begin 5000
    drop_pages
    ls "$M" >/dev/null
    oc reset
    both append more @
    check_eq "GETs, PUTs" "$(requests GetObject) $(requests PutObject)" "1 1"
    check_eq "copies and parts" "$(requests CopyObject CopyPart UploadPart)" 0
    same_everywhere
}

t_copy_file_range() { # s3-long
    begin $((part_size * 3 + 5))
    check "copy" python3 -c '
import os, sys
a = os.open(sys.argv[1], os.O_RDONLY)
b = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
n = os.fstat(a).st_size
while n > 0:
    n -= os.copy_file_range(a, b, n)
os.close(b)' "$M/f" "$M/g"
    drop_pages
    check "content" cmp "$T/local" "$M/g"
}

t_lseek_data_hole() {
    begin 10000
    check "lseek" python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
assert os.lseek(fd, 0, os.SEEK_DATA) == 0
assert os.lseek(fd, 0, os.SEEK_HOLE) == 10000' "$M/f"
}

t_flock() {
    begin 10
    check "flock" flock -x "$M/f" true
    check "lockf" python3 -c '
import fcntl, sys
f = open(sys.argv[1], "r+")
fcntl.lockf(f, fcntl.LOCK_EX)
fcntl.lockf(f, fcntl.LOCK_UN)' "$M/f"
}

t_read_at_random() { # s3
    begin $((part_size * 5 + 123))
    drop_pages
    check "reads" python3 -c '
import os, random, sys
seed = random.randrange(1 << 30)
print("seed", seed)
random.seed(seed)
want = open(sys.argv[2], "rb").read()
fd = os.open(sys.argv[1], os.O_RDONLY)
for i in range(150):
    off, n = random.randrange(len(want) + 1000), random.choice((1, 100, 4096, 70000, 300000))
    got = os.pread(fd, n, off)
    assert got == want[off:off + n], (off, n, len(got))' "$M/f" "$T/local"
}

t_many_readers() { # s3-long
    begin $((part_size * 4 + 123))
    drop_pages
    local pids=() i
    for i in 1 2 3 4 5 6; do
        cmp "$T/local" "$M/f" &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || fail "a reader"; done
}

. "$(dirname "$0")/lib.sh"
