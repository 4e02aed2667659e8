#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# requests.sh - what looking and reading costs, and when changes by others are seen.

# Names, sizes, times of a directory that was just listed are known.
t_second_ls_is_free() { # s3
    oc fill d/f 50 10
    ls -l "$M/d" >"$T/1"
    oc reset
    ls -l "$M/d" >"$T/2"
    check_eq "requests" "$(requests)" 0
    check "the same" cmp "$T/1" "$T/2"
}

t_ls_l_costs_one_head_each() { # s3-long
    oc fill d/f 50 10
    oc reset
    ls -l "$M/d" >"$T/1"
    [ "$(requests HeadObject)" -le 51 ] || fail "$(requests HeadObject) HEADs for 50 names"
    [ "$(requests ListObjects)" -le 2 ] || fail "$(requests ListObjects) listings"
    check_eq "others" "$(requests)" "$(requests HeadObject ListObjects)"
}

# What is fetched ahead keeps to what is asked for: two names of many do not cost a HEAD for each.
t_two_of_many_names() { # s3-long
    oc fill d/f 400 10
    ls "$M/d" >/dev/null
    oc reset
    stat "$M/d/f00000" "$M/d/f00399" >/dev/null
    sleep 1
    local heads
    heads=$(requests HeadObject)
    [ "$heads" -gt 2 ] || fail "nothing is fetched ahead"
    [ "$heads" -le 80 ] || fail "$heads HEADs for two names"
    ls -l "$M/d" >/dev/null
    [ "$(requests HeadObject)" -le 401 ] || fail "$(requests HeadObject) HEADs for 400 names"
}

t_plain_ls_costs_no_head() { # s3-long
    oc fill d/f 50 10
    oc reset
    ls "$M/d" >/dev/null
    ls "$M/d" >/dev/null
    check_eq "HEADs of names in it" "$(oc log HeadObject | grep -c 'd/f')" 0
}

# Attributes are remembered over a remount by version: a listing is enough.
t_ls_l_after_remount() { # s3
    oc fill d/f 50 10
    ls -l "$M/d" >"$T/1"
    drop_pages
    oc reset
    ls -l "$M/d" >"$T/2"
    check_eq "HEADs of names in it" "$(oc log HeadObject | grep -c 'd/f')" 0
    check "the same" cmp "$T/1" "$T/2"
}

t_missing_names_of_a_listed_directory() { # s3-long
    oc fill d/f 50 10
    ls "$M/d" >/dev/null
    oc reset
    local i
    for i in $(seq 30); do [ ! -e "$M/d/missing$i" ] || fail "it exists"; done
    check_eq "requests" "$(requests)" 0
}

t_missing_name_costs_one_request() { # s3-long
    oc fill d/f 5 10
    stat "$M/d" >/dev/null
    oc reset
    [ ! -e "$M/d/missing" ] || fail "it exists"
    check_eq "requests" "$(requests)" 1
}

# What was known of a small directory is too old: one listing of it answers for all names again.
t_small_directory_is_listed_again() { # s3-long
    remount meta_ttl=1s
    mkdir "$M/d"
    echo a >"$M/d/a"
    sleep 1.2
    oc reset
    local i
    for i in 1 2 3 4 5; do [ ! -e "$M/d/b$i" ] || fail "it exists"; done
    check_eq "listings of the root and of it" "$(requests ListObjects)" 2
}

# A small file that was never looked at: its attributes for the look-up, and its content by one GET.
t_small_file_is_one_get() { # s3
    oc fill d/f 20 1000
    ls "$M/d" >/dev/null
    oc reset
    cat "$M/d/"* >"$T/all"
    check_eq "size" "$(stat -c %s "$T/all")" 20000
    check_eq "GETs" "$(requests GetObject)" 20
    [ "$(requests HeadObject)" -le 20 ] || fail "$(requests HeadObject) HEADs"
    oc reset
    sleep 1.2 # beyond open_ttl; the pages are still there
    cat "$M/d/"* >/dev/null
    check_eq "GETs" "$(requests GetObject)" 0
    [ "$(requests HeadObject)" -le 20 ] || fail "$(requests HeadObject) HEADs"
}

# The page cache stays over close and open while the version is the same.
tx_read_again() { # s3
    service_start
    mounted_with open_ttl=1h,meta_ttl=1h
    head -c 3000000 /dev/urandom | oc put f >/dev/null
    cat "$M/f" >/dev/null
    oc reset
    cat "$M/f" >/dev/null
    check_eq "requests" "$(requests)" 0
    remount open_ttl=0
    cat "$M/f" >/dev/null
    oc reset
    cat "$M/f" >/dev/null
    check_eq "GETs" "$(requests GetObject)" 0
    [ "$(requests)" -le 2 ] || fail "$(requests) requests to open a file again"
}

# What was written in pieces like tar's stays in the kernel's pages but for every fifth: these are read
# ahead, not one by one (there are 400).
t_written_and_read_again() { # s3
    head -c 8000000 /dev/urandom >"$T/f"
    check "dd" dd if="$T/f" of="$M/f" bs=10240 status=none
    oc reset
    check "content" cmp "$T/f" "$M/f"
    [ "$(requests GetObject)" -le 40 ] || fail "$(requests GetObject) GETs for one file"
    check "dd" dd if="$T/f" of="$M/g" bs=10240 status=none
    oc reset
    check "read and write" python3 -c '
import sys
with open(sys.argv[1], "r+b") as f: # as tar -r does
    assert f.read() == open(sys.argv[2], "rb").read()' "$M/g" "$T/f"
    [ "$(requests GetObject)" -le 40 ] || fail "$(requests GetObject) GETs for one file open for writing"
}

# Each byte is fetched once.
t_sequential_read() { # s3
    make_file "$T/f" $((part_size * 6 + 100))
    oc put f "$T/f" >/dev/null
    drop_pages
    oc reset
    check "content" cmp "$T/f" "$M/f"
    local bytes
    bytes=$(oc bytes GetObject)
    [ "$bytes" -le $((part_size * 6 + 100 + 65536)) ] || fail "$bytes bytes were fetched of $((part_size * 6 + 100))"
}

# At random places only what was asked for is fetched.
t_random_reads_are_exact() {
    make_file "$T/f" $((32 << 20))
    oc put f "$T/f" >/dev/null
    drop_pages
    check "reads" python3 - "$M/f" "$T/f" <<'EOF_PY'
import os, sys
want = open(sys.argv[2], "rb").read()
fd = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
for i in (300, 20, 411, 77, 250, 5, 390, 160, 480, 111, 333, 222):
    assert os.pread(fd, 65536, i * 65536) == want[i * 65536:(i + 1) * 65536], i
EOF_PY
    [ "$(oc bytes GetObject)" -le $((24 * 65536)) ] ||
        fail "$(oc bytes GetObject) bytes were fetched for $((12 * 65536))"
}

# 4 KiB at the beginning of a large file.
t_first_bytes() { # s3-long
    make_file "$T/f" $((16 << 20))
    oc put f "$T/f" >/dev/null
    drop_pages
    ls "$M" >/dev/null
    oc reset
    check_eq "content" "$(head -c 4096 "$M/f" | md5sum)" "$(head -c 4096 "$T/f" | md5sum)"
    [ "$(requests)" -le 4 ] || fail "$(requests) requests"
    [ "$(oc bytes GetObject)" -le $((2 << 20)) ] || fail "$(oc bytes GetObject) bytes for 4096"
}

# Close-to-open: what somebody else has stored is seen at the next open.
tx_replaced_is_seen_at_open() { # s3
    local size i
    service_start
    mounted_with open_ttl=0
    for size in 100 $((part_size * 2)); do
        for i in 1 2 3; do
            make_file "$T/f$i" $((size + i % 2))
            oc put f "$T/f$i" >/dev/null
            check "content $i" cmp "$T/f$i" "$M/f"
            check_eq "size" "$(stat -c %s "$M/f")" $((size + i % 2))
        done
    done
}

# The same with the default open_ttl, a second later.
t_replaced_is_seen_after_open_ttl() { # s3-long
    echo one | oc put f >/dev/null
    check_eq "content" "$(cat "$M/f")" one
    echo "two " | oc put f >/dev/null
    sleep 1.2
    check_eq "content" "$(cat "$M/f")" "two "
}

# The attributes of an open file are asked for again after it was replaced: it stays the file that was opened.
t_open_file_stays_when_refreshed() { # s3
    make_file "$T/one" $((part_size * 4))
    make_file "$T/two" $((part_size * 4))
    oc put f "$T/one" >/dev/null
    remount meta_ttl=0
    check "the old content or an error" env OBS_PORT="$OBS_PORT" OBS_KEYS="$T/keys" \
        python3 - "$M" "$T/one" "$T/two" "$top" <<'EOF_PY'
import errno, os, subprocess, sys
mount, one, two, top = sys.argv[1:]
content = open(one, "rb").read()
with open(mount + "/f", "rb", buffering=0) as f:
    at = 4096
    assert f.read(at) == content[:at]
    subprocess.run([sys.executable, top + "/tests/lib/obsclient.py", "put", "f", two], check=True)
    with open(mount + "/.obsmount/ctl", "w") as ctl:
        ctl.write("refresh f\n")
    assert os.fstat(f.fileno()).st_size == len(content)
    try:
        while more := f.read(1 << 20):
            assert more == content[at : at + len(more)], f"other bytes at {at}"
            at += len(more)
        assert at == len(content)
    except OSError as e:
        assert e.errno == errno.ESTALE, e
EOF_PY
    check "the new one" cmp "$M/f" "$T/two"
}

t_new_name_is_seen_after_meta_ttl() { # s3-long
    remount meta_ttl=1s
    ls "$M" >/dev/null
    [ ! -e "$M/f" ] || fail "it exists"
    echo new | oc put f >/dev/null
    sleep 1.2
    check_eq "content" "$(cat "$M/f")" new
    oc delete f
    sleep 1.2
    fails "No such file" cat "$M/f"
}

# Who has a replaced object open gets the old content or ESTALE, never a mixture; so does a second
# handle in between, which sees the new one.
t_no_mixture() { # s3
    make_file "$T/one" $((part_size * 4))
    make_file "$T/two" $((part_size * 4))
    oc put f "$T/one" >/dev/null
    drop_pages
    python3 - "$M/f" "$T/one" "$T/two" "$T/go" "$T/went" <<'EOF_PY' &
import errno, mmap, os, sys, time
path, one, two, go, went = sys.argv[1:]
one, two = open(one, "rb").read(), open(two, "rb").read()
old = os.open(path, os.O_RDONLY)
assert os.pread(old, 5000, 0) == one[:5000]
open(went, "w").close()
while not os.path.exists(go):
    time.sleep(0.02)
time.sleep(1.2)  # beyond open_ttl
new = os.open(path, os.O_RDONLY)
stale = 0
for off in range(0, len(one), 65536):
    assert os.pread(new, 65536, off) == two[off:off + 65536], f"new at {off}"
    try:
        got = os.pread(old, 65536, off)
        assert got == one[off:off + 65536], f"old at {off}"
    except OSError as e:
        assert e.errno == errno.ESTALE, e
        stale += 1
m = mmap.mmap(new, 0, prot=mmap.PROT_READ)
assert m[:] == two
print("stale reads:", stale)
EOF_PY
    local reader=$! i
    for ((i = 0; i < 500; i++)); do
        [ ! -e "$T/went" ] || break
        sleep 0.02
    done
    oc put f "$T/two" >/dev/null
    : >"$T/go"
    wait "$reader" || fail "the reader"
}

# Two mounts of one bucket.
t_two_mounts() { # s3
    remount meta_ttl=1s
    mnt bkt "$T/m2" "dialect=$dialect,meta_ttl=1s,open_ttl=0,state_dir=$T/state2,log_file=$T/mount2.log" ||
        fail "the second mount"
    make_file "$T/f" $((part_size + 100))
    cp "$T/f" "$M/f"
    check "content" cmp "$T/f" "$T/m2/f"
    echo short >"$T/m2/f"
    sleep 1.2
    check_eq "content" "$(cat "$M/f")" short
    rm "$T/m2/f"
    sleep 1.2
    fails "No such file" cat "$M/f"
}

# What the mount itself has changed is seen at once.
t_own_changes_are_seen() { # s3-long
    oc fill d/f 20 10
    ls -l "$M/d" >/dev/null
    echo new >"$M/d/new"
    rm "$M/d/f00003"
    mv "$M/d/f00004" "$M/d/moved"
    mkdir "$M/d/sub"
    echo longer than before >"$M/d/f00005"
    check_eq "names" "$(ls "$M/d" | wc -l)" 21
    check_eq "new ones" "$(ls "$M/d" | grep -v f0 | xargs)" "moved new sub"
    check_eq "size" "$(stat -c %s "$M/d/f00005")" 19
    [ ! -e "$M/d/f00003" ] || fail "the removed one"
    [ ! -e "$M/d/f00004" ] || fail "the moved one"
}

# Requests carry the OBS signature and the bucket in the host name, or AWS V4 and the path.
t_signatures() { # s3
    oc reset
    echo x >"$M/f"
    local kind=obs
    [ "$dialect" = obs ] || kind=v4
    check_eq "of kind $kind" "$(oc signatures $kind)" "$(requests PutObject ListObjects HeadObject GetObject)"
    check_eq "V2" "$(oc signatures v2)" 0
}

# Who may remove everything needs to know nothing of a file: one DELETE each. (A smaller file may be a
# symbolic link or a special file, which takes a HEAD to know.)
t_rm_asks_nothing_of_cold_files() { # s3
    oc fill d/f 20 5000
    ls "$M" >/dev/null
    oc reset
    rm -rf "$M/d"
    check_eq "DELETEs of files" "$(oc log DeleteObject | grep -c 'd/f')" 20
    check_eq "HEADs of files" "$(oc log HeadObject | grep -c 'd/f')" 0
    check_eq "left" "$(oc list d/f)" ""
}

# What root has looked up without its attributes is no other user's truth.
tx_cold_files_have_their_owner() { # s3-long
    service_start
    mounted_with allow_other
    head -c 5000 /dev/zero >"$T/zero"
    oc put d/mine "$T/zero" x-obs-meta-mode:33152 x-obs-meta-uid:65534 x-obs-meta-gid:65534 >/dev/null
    oc put d/roots "$T/zero" x-obs-meta-mode:33152 x-obs-meta-uid:0 x-obs-meta-gid:0 >/dev/null
    oc put d/link "$T/zero" x-obs-meta-mode:41471 >/dev/null # no target is that long
    chmod 755 "$T" "$M"
    python3 - "$M/d" <<'END' || fail "root's look-up shows"
import os, sys
d = sys.argv[1]
os.listdir(d)
for name in ("mine", "roots"):  # a look-up that needs no attributes
    try:
        os.mkdir(f"{d}/{name}")
    except FileExistsError:
        pass
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
assert open(f"{d}/mine", "rb").read() == bytes(5000)
try:
    open(f"{d}/roots", "rb")
except PermissionError:
    pass
else:
    sys.exit("a file of root can be read")
os.chmod(f"{d}/mine", 0o640)
try:
    os.chmod(f"{d}/roots", 0o640)
except PermissionError:
    pass
else:
    sys.exit("a file of root can be changed")
END
    check_eq "type of a long link" "$(stat -c %F "$M/d/link")" "regular file"
    check_eq "attributes" "$(stat -c '%u %a %s' "$M/d/mine" "$M/d/roots" | tr '\n' ' ')" "65534 640 5000 0 600 5000 "
}

. "$(dirname "$0")/lib.sh"
