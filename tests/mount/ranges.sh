#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ranges.sh - copy_file_range, SEEK_DATA and SEEK_HOLE: ranges that are copied by the server or not there.

# Runs COMMAND between copying the whole of $M/f to $M/g and closing that; prints the errno of close.
copy_then() { # COMMAND
    python3 - "$M/f" "$M/g" "$1" <<'EOF_PY'
import errno, os, subprocess, sys
a = os.open(sys.argv[1], os.O_RDONLY)
b = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
left = os.fstat(a).st_size
while left > 0:
    left -= os.copy_file_range(a, b, left)
os.close(a)
subprocess.run(["bash", "-c", sys.argv[3], "command", str(os.getpid())], check=True)
try:
    os.close(b)
    print("stored")
except OSError as e:
    print(errno.errorcode[e.errno])
EOF_PY
}

source_of() { # SIZE
    make_file "$T/local" "$1"
    oc put f "$T/local" >/dev/null
}

g_is_right() {
    check "content" cmp "$T/local" "$M/g"
    check_eq "stored content" "$(oc get g | md5sum)" "$(md5sum <"$T/local")"
}

# cp within the mount: no byte goes through this machine; attributes are the copy's own.
t_cp_is_one_copy() { # s3
    local size
    for size in 10 $((part_size * 3 + 5)); do
        rm -f "$M/f" "$M/g"
        make_file "$T/local" "$size"
        cp "$T/local" "$M/f"
        setfattr -n user.of -v source "$M/f"
        chmod 600 "$M/f"
        sync "$M/f"
        oc reset
        check "cp" cp --no-preserve=mode "$M/f" "$M/g"
        # opening a small file may bring its content
        [ "$size" -le 1000 ] || check_eq "GETs" "$(requests GetObject)" 0
        check_eq "PUTs, copies, deletes" "$(puts_copies_deletes)" "0 1 0"
        check_eq "mode" "$(stat -c %a "$M/g")" 644
        g_is_right
        remount
        g_is_right
        check_eq "mode" "$(stat -c %a "$M/g")" 644
        check_eq "xattrs" "$(getfattr -d "$M/g")" ""
    done
}

t_cp_100m() { # s3-long
    source_of $((100 << 20))
    oc reset
    check "cp" cp "$M/f" "$M/g"
    check_eq "GETs" "$(requests GetObject)" 0
    check_eq "PUTs, copies, deletes" "$(puts_copies_deletes)" "0 1 0"
    g_is_right
}

# Over a file that exists, of a file of several parts, with times and mode.
t_cp_p_over_existing() { # s3-long
    source_of $((part_size * 2 + 5))
    make_file "$M/g" $((part_size * 3))
    touch -d 2020-01-02 "$M/f"
    check "cp -p" cp -p "$M/f" "$M/g"
    g_is_right
    remount
    check_eq "mtime" "$(stat -c %Y "$M/g")" "$(stat -c %Y "$M/f")"
}

# Parts that lie wholly in the copied range are copied, the others are put together here.
t_part_of_a_file() { # s3
    source_of $((part_size * 4 + 5))
    oc reset
    check "copy" python3 - "$M/f" "$M/g" "$T/local" "$part_size" <<'EOF_PY'
import os, sys
part = int(sys.argv[4])
content = bytearray(open(sys.argv[3], "rb").read())
want = bytearray(b"head" * 25 + content[7:3 * part + 7] + b"tail")
a = os.open(sys.argv[1], os.O_RDONLY)
b = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
assert os.write(b, b"head" * 25) == 100
assert os.copy_file_range(a, b, 3 * part, 7) == 3 * part
assert os.write(b, b"tail") == 4
# what was written over a copied range is there, around it the copied bytes
os.pwrite(b, b"middle", part + 50)
want[part + 50:part + 56] = b"middle"
assert os.pread(b, 200, part) == want[part:part + 200]
assert os.fstat(b).st_size == len(want)
# cut within the copied range, and longer again: zeros
os.ftruncate(b, 2 * part + part // 2)
os.ftruncate(b, 3 * part)
want[2 * part + part // 2:] = bytes(part // 2)
os.close(b)
open(sys.argv[3], "wb").write(want)
EOF_PY
        g_is_right
}

t_copied_parts() { # s3
    source_of $((part_size * 5 + 5))
    oc reset
    check "copy" python3 - "$M/f" "$M/g" "$T/local" "$part_size" <<'EOF_PY'
import os, sys
part = int(sys.argv[4])
content = bytearray(open(sys.argv[3], "rb").read())
a = os.open(sys.argv[1], os.O_RDONLY)
b = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
assert os.copy_file_range(a, b, 4 * part, part) == 4 * part
os.pwrite(b, b"changed", 2 * part + 9)
os.close(b)
want = content[part:5 * part]
want[2 * part + 9:2 * part + 16] = b"changed"
open(sys.argv[3], "wb").write(want)
EOF_PY
    check_eq "copied parts" "$(requests CopyPart)" 3
    check_eq "parts sent" "$(requests UploadPart)" 1
    g_is_right
}

# From the file itself.
t_within_a_file() { # s3
    source_of $((part_size * 2))
    cp "$T/local" "$M/g"
    check "copy" python3 - "$M/g" "$T/local" "$part_size" <<'EOF_PY'
import os, sys
part = int(sys.argv[3])
for name in sys.argv[1:3]:
    f = os.open(name, os.O_RDWR)
    assert os.copy_file_range(f, f, 2 * part, 0, 2 * part) == 2 * part
    os.close(f)
EOF_PY
    g_is_right
}

t_read_before_close() { # s3
    source_of $((part_size * 2 + 5))
    local g="$M/g"
    check_eq "close" "$(copy_then "cmp '$T/local' '$g' && [ \$(stat -c %s '$g') = $((part_size * 2 + 5)) ]")" stored
    g_is_right
}

# Somebody else replaces the source meanwhile: an error, never a mixture.
t_source_replaced_behind() { # s3
    source_of $((part_size + 5))
    echo other >"$T/other"
    check_eq "close" "$(copy_then "$(declare -p OBS_PORT T top); $(declare -f oc); oc put f '$T/other' >/dev/null")" ESTALE
    check_eq "objects" "$(oc list | cut -f 1)" f
    check_eq "uploads" "$(oc uploads)" ""
}

# This mount itself changes the source meanwhile: the copy has what was copied.
t_source_changed() { # s3
    local way
    for way in "rm '$M/f'" "echo new >'$M/f'" "mv '$M/f' '$M/f2'" "echo new >'$T/new'; mv '$T/new' '$M/f'" \
        "truncate -s 3 '$M/f'" "chmod 600 '$M/f'; sync '$M/f'"; do
        rm -rf "$M"/*
        make_file "$T/local" $((part_size + 5))
        cp "$T/local" "$M/f"
        check_eq "close after $way" "$(copy_then "$way")" stored
        g_is_right
    done
    mkdir "$M/d"
    rm -f "$M"/[fg]
    make_file "$T/local" $((part_size + 5))
    cp "$T/local" "$M/f"
    mv "$M/f" "$M/d/f"
    check_eq "close" "$(M=$M/d copy_then "mv '$M/d' '$M/e'")" stored
    check "content" cmp "$T/local" "$M/e/g"
}

# A copy that was not closed is not stored, and nothing of it is left.
t_killed_driver() { # s3
    source_of $((part_size * 2 + 5))
    copy_then "kill -9 $driver" >/dev/null
    wait_gone "$driver" 10
    umount -i -l "$M"
    mounted_with
    check_eq "names" "$(ls "$M")" f
    check_eq "uploads" "$(oc uploads)" ""
    check_eq "kept" "$(grep -c g "$M/.obsmount/uploads")" 0
}

t_killed_writer() { # s3-long
    source_of $((part_size * 2 + 5))
    copy_then 'kill -9 $1' >/dev/null 2>&1
    check_eq "names" "$(ls "$M")" f
    remount
    check_eq "objects" "$(oc list | cut -f 1)" f
    check_eq "uploads" "$(oc uploads)" ""
}

# Bytes that are another object's are no local data: such a file is stored at close.
tx_durability_stage() { # s3-long
    service_start
    mounted_with durability=stage
    source_of $((part_size + 5))
    check "cp" cp "$M/f" "$M/g"
    check_eq "stored content" "$(oc get g | md5sum)" "$(md5sum <"$T/local")"
}

# What is not encrypted gets the encryption of the mount; what is, is read and written.
tx_encrypted() { # s3-long
    service_start
    mounted_with sse=kms
    source_of $((part_size + 5))
    oc reset
    check "cp" cp "$M/f" "$M/g"
    check_eq "copies" "$(requests CopyObject)" 1
    check "cp" cp "$M/g" "$M/h"
    check_eq "copies" "$(requests CopyObject)" 1
    g_is_right
    check "content" cmp "$T/local" "$M/h"
    [ -n "$(getfattr --only-values -n user.obs.sse "$M/g")" ] || fail "the copy is not encrypted"
}

# Copies fail: the reason is told, the name shows what was there.
t_copy_fails() {
    source_of 1000
    oc faults '[{"operation": "CopyObject", "count": -1, "status": 403, "code": "AccessDenied"}]'
    fails "ermission denied" cp "$M/f" "$M/g"
    check_eq "names" "$(ls "$M")" f
    oc faults '[]'
    check "cp" cp "$M/f" "$M/g"
    g_is_right
}

t_seek() {
    check "seek" python3 - "$M/f" <<'EOF_PY'
import errno, os, sys
MB = 1 << 20
w = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.pwrite(w, b"x" * MB, MB)
os.pwrite(w, b"x" * 10, 3 * MB)
os.ftruncate(w, 5 * MB)
r = os.open(sys.argv[1], os.O_RDONLY)

def seek(off, whence):
    try:
        return os.lseek(r, off, whence)
    except OSError as e:
        return errno.errorcode[e.errno]

assert seek(0, os.SEEK_DATA) == MB
assert seek(0, os.SEEK_HOLE) == 0
assert seek(MB + 7, os.SEEK_DATA) == MB + 7
assert seek(MB + 7, os.SEEK_HOLE) == 2 * MB
assert seek(2 * MB, os.SEEK_DATA) == 3 * MB
assert seek(3 * MB, os.SEEK_HOLE) == 3 * MB + 10
assert seek(3 * MB + 10, os.SEEK_DATA) == "ENXIO"
assert seek(5 * MB, os.SEEK_DATA) == "ENXIO"
assert seek(5 * MB, os.SEEK_HOLE) == "ENXIO"
os.close(w)
# stored: all of it is data
assert seek(0, os.SEEK_DATA) == 0
assert seek(0, os.SEEK_HOLE) == 5 * MB
assert seek(5 * MB, os.SEEK_DATA) == "ENXIO"
EOF_PY
}

# A descriptor that reads and writes may have a map, with changes that the kernel has not written yet.
t_seek_read_write() {
    check "seek" python3 - "$M/f" <<'EOF_PY'
import errno, mmap, os, sys
MB = 1 << 20
PAGE = mmap.PAGESIZE
w = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)

def seek(off, whence):
    try:
        return os.lseek(w, off, whence)
    except OSError as e:
        return errno.errorcode[e.errno]

def is_data(off):
    """As both say."""
    data, hole = seek(off, os.SEEK_DATA), seek(off, os.SEEK_HOLE)
    assert (data == off) != (hole == off), (off, data, hole)
    return data == off

os.ftruncate(w, 9 * MB + 5)
assert seek(0, os.SEEK_DATA) == "ENXIO"
assert seek(0, os.SEEK_HOLE) == 0
os.pwrite(w, b"x" * MB, MB)
os.pwrite(w, b"x" * 10, 3 * MB)
assert seek(0, os.SEEK_DATA) == MB
assert seek(MB + 7, os.SEEK_DATA) == MB + 7
assert seek(MB + 7, os.SEEK_HOLE) == 2 * MB
assert seek(2 * MB + 1, os.SEEK_DATA) == 3 * MB
assert seek(2 * MB + 1, os.SEEK_HOLE) == 2 * MB + 1
assert seek(3 * MB + 1, os.SEEK_HOLE) == 3 * MB + PAGE
assert seek(3 * MB + PAGE, os.SEEK_DATA) == "ENXIO"
assert seek(9 * MB + 4, os.SEEK_HOLE) == 9 * MB + 4
assert seek(9 * MB + 5, os.SEEK_HOLE) == "ENXIO"

# through a map: at once, whether the kernel has written it or not
with mmap.mmap(w, 0) as m:
    m.madvise(mmap.MADV_RANDOM)  # no more is read than what is touched
    m[5 * MB + 100] = 1
    assert is_data(5 * MB + 100) and is_data(5 * MB)
    assert not is_data(8 * MB)
    m[9 * MB + 4] = 1  # in the last page
    assert is_data(9 * MB + 4)
    m.flush()
assert is_data(8 * MB)  # stored
os.close(w)

# a map that lives longer than its descriptor, and a page that was there before the file grew
w = os.open(sys.argv[1], os.O_RDWR | os.O_TRUNC)
os.pwrite(w, b"y" * 10, 0)
os.close(w)
w = os.open(sys.argv[1], os.O_RDWR)
assert os.pread(w, 20, 0) == b"y" * 10
os.ftruncate(w, 4 * MB)
m = mmap.mmap(w, 0)
m.madvise(mmap.MADV_RANDOM)
os.close(w)
w = os.open(sys.argv[1], os.O_RDONLY)
m[1000] = 1
assert is_data(1000)
m[2 * MB] = 1
assert is_data(2 * MB)
assert not is_data(3 * MB)
EOF_PY
}

t_sparse_programs() { # s3-long
    truncate -s 3000000 "$T/local"
    echo data | dd of="$T/local" bs=1 seek=1500000 conv=notrunc status=none
    check "cp" cp --sparse=always "$T/local" "$M/a"
    check "cp within" cp --sparse=auto "$M/a" "$M/b"
    check "cp out" cp --sparse=always "$M/b" "$T/c"
    check "content" cmp "$T/local" "$T/c"
    check "tar" tar -C "$M" -Scf "$T/t.tar" b
    mkdir "$M/d"
    check "untar" tar -C "$M/d" -xf "$T/t.tar"
    check "content" cmp "$T/local" "$M/d/b"
    check "rsync" rsync --sparse "$T/local" "$M/e"
    check "content" cmp "$T/local" "$M/e"
}

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
