#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dirs.sh - directories: made, listed, renamed, removed.

keys() { oc list | cut -f 1 | xargs; }

rename2() { # FLAGS OLD NEW
    python3 - "$@" <<'EOF_PY'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.renameat2(-100, os.fsencode(sys.argv[2]), -100, os.fsencode(sys.argv[3]), int(sys.argv[1])) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
EOF_PY
}

t_mkdir_rmdir() { # s3-long
    check "mkdir" mkdir -m 750 "$M/d"
    check_eq "keys" "$(keys)" d/
    check_eq "attributes" "$(stat -c '%a %F' "$M/d")" "750 directory"
    drop_pages
    check_eq "attributes after a remount" "$(stat -c '%a %F' "$M/d")" "750 directory"
    check "rmdir" rmdir "$M/d"
    check_eq "keys" "$(keys)" ""
    fails "No such file" ls "$M/d"
}

t_mkdir_existing() {
    mkdir "$M/d"
    echo x >"$M/f"
    fails "File exists" mkdir "$M/d"
    fails "File exists" mkdir "$M/f"
}

t_nested() { # s3
    check "mkdir -p" mkdir -p "$M/a/b/c/d/e"
    echo x >"$M/a/b/c/d/e/f"
    drop_pages
    check_eq "tree" "$(cd "$M" && find . | LC_ALL=C sort | xargs)" \
        ". ./a ./a/b ./a/b/c ./a/b/c/d ./a/b/c/d/e ./a/b/c/d/e/f"
    check "rm -r" rm -r "$M/a"
    check_eq "keys" "$(keys)" ""
}

t_rmdir_not_empty() { # s3
    mkdir "$M/d"
    echo x >"$M/d/f"
    fails "Directory not empty" rmdir "$M/d"
    check_eq "keys" "$(keys)" "d/ d/f"
}

# What somebody else has put there counts, even if the listing is believed still.
t_rmdir_filled_behind() { # s3-long
    mkdir "$M/d"
    ls "$M/d"
    echo x | oc put d/f >/dev/null
    fails "Directory not empty" rmdir "$M/d"
    check_eq "keys" "$(keys)" "d/ d/f"
}

t_implicit_directory() { # s3
    echo x | oc put a/b/c >/dev/null
    check_eq "kind" "$(stat -c %F "$M/a")" directory
    check_eq "names" "$(ls "$M/a")" b
    check_eq "content" "$(cat "$M/a/b/c")" x
    echo y >"$M/a/b/d"
    check_eq "keys" "$(keys)" "a/b/c a/b/d"
}

# The last name of an implicit directory goes: the directory stays, as on a disk.
t_implicit_directory_emptied() { # s3-long
    echo x | oc put a/b >/dev/null
    rm "$M/a/b"
    check_eq "kind" "$(stat -c %F "$M/a")" directory
    check "rmdir" rmdir "$M/a"
    check_eq "keys" "$(keys)" ""
}

t_chmod_implicit_directory() { # s3
    echo x | oc put a/b >/dev/null
    check "chmod" chmod 700 "$M/a"
    drop_pages
    check_eq "mode" "$(stat -c %a "$M/a")" 700
    check_eq "keys" "$(keys)" "a/ a/b"
}

t_directory_attributes() { # s3
    mkdir "$M/d"
    chmod 2755 "$M/d"
    chown 5:6 "$M/d"
    touch -d @1234567 "$M/d"
    check_eq "at once" "$(stat -c '%a %u %g %Y' "$M/d")" "2755 5 6 1234567"
    drop_pages
    check_eq "after a remount" "$(stat -c '%a %u %g %Y' "$M/d")" "2755 5 6 1234567"
}

# The times of a directory are what utimens stored: names that come do not change them in the bucket.
t_directory_times() { # s3-long
    mkdir "$M/d"
    touch -d @1234567 "$M/d"
    drop_pages
    ls "$M/d"
    oc reset
    touch "$M/d/a"
    drop_pages
    check_eq "its time" "$(stat -c %Y "$M/d")" 1234567
}

t_root_attributes() {
    check_eq "kind" "$(stat -c %F "$M")" directory
    check "chmod" chmod 755 "$M"
    check "touch" touch "$M"
    check_eq "keys" "$(keys | sed 's/^\/$//')" ""
}

# A bucket has no object for its root: the state directory of this machine keeps what is set.
t_root_attributes_are_kept() {
    check "chmod" chmod 711 "$M"
    check "touch" touch -d @1234567 "$M"
    drop_pages
    check_eq "after a remount" "$(stat -c '%a %Y' "$M")" "711 1234567"
    check_eq "keys" "$(keys)" ""
}

# With a prefix it is a directory like others.
tx_root_attributes_below_prefix() { # s3-long
    service_start
    mnt bkt:/p "$M" "dialect=$dialect" || fail "the mount"
    check "chmod" chmod 711 "$M"
    leave
    check_eq "keys" "$(keys)" p/
    rm -rf "$T/state"
    mnt bkt:/p "$M" "dialect=$dialect" || fail "the mount"
    check_eq "after a remount" "$(stat -c %a "$M")" 711
}

# The service does not tell the attributes of the mount's root: the control files are there all the same.
tx_root_is_refused() { # s3-long
    service_start
    oc put p/ /dev/null >/dev/null
    mnt bkt:/p "$M" "dialect=$dialect" || fail "the mount"
    oc faults '[{"operation":"HeadObject","count":-1,"status":403,"code":"AccessDenied"},
        {"operation":"GetObject","count":-1,"status":403,"code":"AccessDenied"}]' >/dev/null
    check_eq "mode" "$(stat -c %a "$M")" 700
    check "the control files" cat "$M/.obsmount/version"
    oc faults '[]' >/dev/null
    check_eq "mode" "$(stat -c %a "$M")" 755
}

# One request to make it; to remove it one that asks whether it is empty, and one that removes it.
t_mkdir_rmdir_costs() { # s3-long
    ls "$M"
    oc reset
    check "mkdir" mkdir "$M/d"
    check_eq "PUTs of all" "$(requests PutObject) of $(requests)" "1 of 1"
    oc reset
    check "rmdir" rmdir "$M/d"
    check_eq "listings, DELETEs of all" "$(requests ListObjects) $(requests DeleteObject) of $(requests)" "1 1 of 2"
}

t_rename_empty() { # s3-long
    mkdir "$M/a"
    check "mv" mv "$M/a" "$M/b"
    check_eq "keys" "$(keys)" b/
    check_eq "names" "$(ls "$M")" b
}

t_rename_with_files() { # s3
    mkdir -p "$M/a/sub/deep"
    local i
    for i in $(seq 12); do echo "$i" >"$M/a/f$i"; done
    echo deep >"$M/a/sub/deep/f"
    ln -s target "$M/a/link"
    touch -d @55555 "$M/a/f1"
    chmod 600 "$M/a/f2"
    check "mv" mv "$M/a" "$M/b"
    fails "No such file" ls "$M/a"
    check_eq "old keys" "$(oc list a | wc -l)" 0
    drop_pages
    for i in $(seq 12); do check_eq "f$i" "$(cat "$M/b/f$i")" "$i"; done
    check_eq "deep" "$(cat "$M/b/sub/deep/f")" deep
    check_eq "link" "$(readlink "$M/b/link")" target
    check_eq "times" "$(stat -c %Y "$M/b/f1")" 55555
    check_eq "mode" "$(stat -c %a "$M/b/f2")" 600
    check_eq "keys" "$(oc list b | wc -l)" 17
}

# Attributes of the directory itself and of what is in it that are not sent yet, or being sent.
t_rename_after_chmod() { # s3
    mkdir "$M/a" "$M/a/sub"
    echo 1 >"$M/a/sub/f"
    python3 - "$M" <<'PY' || fail "chmod and rename at once"
import os, sys
os.chdir(sys.argv[1])
os.chmod("a", 0o700)
os.chmod("a/sub", 0o750)
os.chmod("a/sub/f", 0o600)
os.rename("a", "b")
PY
    oc faults '[{"operation":"SetObjectMetadata","count":-1,"delay_ms":1500},
        {"operation":"CopyObject","key":"*/","count":-1,"delay_ms":1500}]' >/dev/null
    chmod 711 "$M/b" "$M/b/sub"
    touch -d @55555 "$M/b/sub"
    sleep 0.5 # by now they are on their way
    check "mv" mv "$M/b" "$M/c"
    oc faults '[]' >/dev/null
    drop_pages
    check_eq "mode" "$(stat -c %a "$M/c")" 711
    check_eq "mode below" "$(stat -c '%a %Y' "$M/c/sub")" "711 55555"
    check_eq "mode of a file" "$(stat -c %a "$M/c/sub/f")" 600
}

t_rename_implicit() { # s3-long
    echo x | oc put a/b/c >/dev/null
    check "mv" mv "$M/a" "$M/z"
    check_eq "content" "$(cat "$M/z/b/c")" x
    check_eq "old keys" "$(oc list a | wc -l)" 0
}

# With a file in it that is being written, and one that is read.
t_rename_with_open_files() { # s3
    make_file "$T/big" $((part_size * 2 + 5))
    oc put a/ /dev/null >/dev/null
    oc put a/r "$T/big" >/dev/null
    python3 - "$M/a" "$M/b" "$T/big" <<'EOF_PY' || fail "the process with open files"
import os, sys
want = open(sys.argv[3], "rb").read()
r = os.open(sys.argv[1] + "/r", os.O_RDONLY)
assert os.pread(r, 10, 0) == want[:10]
w = os.open(sys.argv[1] + "/w", os.O_RDWR | os.O_CREAT)
os.write(w, b"one ")
os.rename(sys.argv[1], sys.argv[2])
os.write(w, b"two")
got = b""
while len(got) < len(want):
    piece = os.pread(r, 1 << 20, len(got))
    assert piece
    got += piece
assert got == want
os.close(w)
os.close(r)
assert open(sys.argv[2] + "/w", "rb").read() == b"one two"
EOF_PY
    check_eq "keys" "$(keys)" "b/ b/r b/w"
    check_eq "content" "$(oc get b/w)" "one two"
    drop_pages
    check "content" cmp "$T/big" "$M/b/r"
}

# CALL (of Python, in the directory `fd`) is made while the directory is renamed: it takes effect in the
# new one, which has NAMES then.
within_renamed() { # CALL NAMES
    mkdir "$M/a" "$M/a/empty"
    local i
    for i in 1 2 3; do echo "$i" >"$M/a/f$i"; done
    drop_pages
    oc faults '[{"operation": "CopyObject", "key": "b/*", "count": -1, "delay_ms": 1500}]'
    python3 - "$M" "$1" <<'EOF_PY' || fail "the rename, and what came meanwhile"
import os, sys, threading, time
os.chdir(sys.argv[1])
fd = os.open("a", os.O_RDONLY)
os.listdir(fd)
os.stat("f1", dir_fd=fd)
outer = threading.Thread(target=os.rename, args=("a", "b"))
outer.start()
time.sleep(0.7)  # the copies are under way, and take longer
eval(sys.argv[2])
outer.join()
EOF_PY
    oc faults '[]'
    check_eq "names at once" "$(ls "$M/b" | xargs)" "$2"
    check_eq "old keys" "$(oc list a | cut -f 1)" ""
    drop_pages
    check_eq "names" "$(ls "$M" "$M/b" | xargs)" "$M: b $M/b: $2"
}

t_rename_within_renamed() { # s3-long
    within_renamed 'os.rename("f1", "g1", src_dir_fd=fd, dst_dir_fd=fd)' "empty f2 f3 g1"
    check_eq "content" "$(cat "$M/b/g1")" 1
}

t_unlink_within_renamed() { # s3-long
    within_renamed 'os.unlink("f1", dir_fd=fd)' "empty f2 f3"
}

t_rmdir_within_renamed() {
    within_renamed 'os.rmdir("empty", dir_fd=fd)' "f1 f2 f3"
}

t_mkdir_within_renamed() {
    within_renamed 'os.mkdir("new", dir_fd=fd)' "empty f1 f2 f3 new"
}

t_symlink_within_renamed() {
    within_renamed 'os.symlink("f1", "new", dir_fd=fd)' "empty f1 f2 f3 new"
    check_eq "link" "$(readlink "$M/b/new")" f1
}

t_create_within_renamed() {
    within_renamed 'os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd))' "empty f1 f2 f3 new"
}

t_rename_into_subdirectory() { # s3-long
    mkdir -p "$M/a/b" "$M/c"
    echo x >"$M/a/b/f"
    check "mv" mv "$M/a" "$M/c/a"
    check_eq "content" "$(cat "$M/c/a/b/f")" x
    check_eq "keys" "$(keys)" "c/ c/a/ c/a/b/ c/a/b/f"
    fails "to a subdirectory of itself" mv "$M/c" "$M/c/a/"
}

t_rename_over_empty_directory() { # s3
    mkdir "$M/a" "$M/b"
    echo x >"$M/a/f"
    check "mv -T" mv -T "$M/a" "$M/b"
    check_eq "keys" "$(keys)" "b/ b/f"
    check_eq "content" "$(cat "$M/b/f")" x
}

t_rename_over_full_directory() { # s3-long
    mkdir "$M/a" "$M/b"
    echo x >"$M/b/f"
    fails "Directory not empty" mv -T "$M/a" "$M/b"
    check_eq "keys" "$(keys)" "a/ b/ b/f"
}

t_rename_kinds_clash() {
    mkdir "$M/d"
    echo x >"$M/f"
    fails "Not a directory" rename2 0 "$M/d" "$M/f"
    fails "Is a directory" rename2 0 "$M/f" "$M/d"
    check_eq "keys" "$(keys)" "d/ f"
}

t_rename_noreplace() { # s3
    echo a >"$M/a"
    echo b >"$M/b"
    fails "File exists" rename2 1 "$M/a" "$M/b"
    check_eq "b" "$(cat "$M/b")" b
    check "to a free name" rename2 1 "$M/a" "$M/c"
    check_eq "c" "$(oc get c)" a
    check_eq "keys" "$(keys)" "b c"
}

t_rename_exchange() {
    echo a >"$M/a"
    echo b >"$M/b"
    fails "Invalid argument" rename2 2 "$M/a" "$M/b"
    check_eq "a" "$(cat "$M/a")" a
}

t_rename_missing() {
    fails "No such file" rename2 0 "$M/a" "$M/b"
    fails "No such file" rename2 0 "$M/a/x" "$M/b"
}

# mv across directories, of a file that is stored and of one that was just written.
t_move_across_directories() { # s3
    mkdir "$M/a" "$M/b"
    make_file "$T/big" $((part_size + 5))
    oc put a/stored "$T/big" >/dev/null
    drop_pages
    touch -d @99999 "$M/a/stored"
    cp "$T/big" "$M/a/new"
    check "mv" mv "$M/a/stored" "$M/a/new" "$M/b/"
    check_eq "keys" "$(keys)" "a/ b/ b/new b/stored"
    drop_pages
    check "content" cmp "$T/big" "$M/b/stored"
    check "content" cmp "$T/big" "$M/b/new"
    check_eq "time" "$(stat -c %Y "$M/b/stored")" 99999
}

# More objects than dir_rename_max: rename() says EXDEV, mv(1) copies.
tx_rename_too_many() { # s3-long
    service_start
    mounted_with dir_rename_max=5
    oc fill a/f 9 3
    fails "Invalid cross-device link" rename2 0 "$M/a" "$M/b"
    check "mv copies" mv "$M/a" "$M/b"
    check_eq "keys" "$(oc list b/f | wc -l)" 9
    check_eq "old keys" "$(oc list a | wc -l)" 0
}

# 10,000 objects: ten pages, each name once; then one look-up of each costs no further listing.
t_ten_thousand() { # s3 timeout=300
    oc fill d/f 10000
    oc reset
    check_eq "names" "$(ls -U "$M/d" | LC_ALL=C sort | md5sum)" \
        "$(printf 'f%05d\n' $(seq 0 9999) | md5sum)"
    [ "$(requests ListObjects)" -le 12 ] || fail "$(requests ListObjects) listings"
    check_eq "HEADs of names in it" "$(oc log HeadObject | grep -c 'd/f')" 0
}

# Cached names are given up every 10 s: not those that pages of an unfinished listing have brought.
t_listing_takes_long() { # timeout=300
    oc fill d/f 2001
    oc faults '[{"operation":"ListObjects","query":"*prefix=d%2F*","count":-1,"delay_ms":5500}]'
    check_eq "names" "$(ls -U "$M/d" | LC_ALL=C sort | md5sum)" \
        "$(printf 'f%05d\n' $(seq 0 2000) | md5sum)"
}

# Looked into while the objects below are being renamed: the old ones are deleted, the answer to that is still to
# come, and no name is missed or lost.
look_into_moving() { # COMMAND...: run in the directory
    oc fill d/f 300
    echo x | oc put d/s/x >"$T/null"
    oc put d/ >"$T/null" </dev/null
    remount meta_ttl=600
    oc faults '[{"operation":"DeleteObjects","count":-1,"delay_ms":4000}]'
    exec 5<"$M/d"
    mv "$M/d" "$M/e" &
    local mover=$!
    wait_until eval '! oc head d/f00000 >"$T/null" 2>&1'
    check "in the directory" run_limited 60 sh -c 'cd /proc/self/fd/5 && exec "$@"' sh "$@"
    exec 5<&-
    check "mv" wait "$mover"
    check_eq "names" "$(ls -U "$M/e" | LC_ALL=C sort | md5sum)" \
        "$( (printf 'f%05d\n' $(seq 0 299) && echo s) | md5sum)"
    check_eq "below" "$(cat "$M/e/s/x")" x
    check_eq "types" "$(stat -c %F "$M/e/s" "$M"/e/f0000? | sort | uniq -c | tr -s ' \n' ' ')" \
        " 1 directory 10 regular empty file "
}

t_rename_dir_stat_meanwhile() { # s3-long timeout=180
    look_into_moving stat ./f00005
}

t_rename_dir_list_meanwhile() { # timeout=180
    look_into_moving sh -c 'test $(ls -U . | wc -l) = 301'
}

# HEADs ahead of who goes through the directory, too.
t_rename_dir_attributes_meanwhile() { # timeout=180
    look_into_moving sh -c 'ls -l . >/dev/null; test $(ls . | wc -l) = 301'
}

# A file and a symbolic link that were looked up before are opened and read by now.
t_rename_dir_open_meanwhile() { # timeout=180
    oc fill d/f 30
    echo content | oc put d/x >"$T/null"
    ln -s target "$M/d/l"
    remount meta_ttl=600,open_ttl=0
    oc faults '[{"operation":"DeleteObjects","count":-1,"delay_ms":4000}]'
    check "open and readlink" run_limited 60 env OBS_PORT="$OBS_PORT" OBS_KEYS="$T/keys" python3 - "$M" "$top" <<'EOF_PY'
import os, subprocess, sys, time
mount, top = sys.argv[1:]
client = [sys.executable, top + "/tests/lib/obsclient.py"]
file = os.open(mount + "/d/x", os.O_PATH)
link = os.open(mount + "/d/l", os.O_PATH | os.O_NOFOLLOW)
mover = subprocess.Popen(["mv", mount + "/d", mount + "/e"])
while subprocess.run(client + ["head", "d/x"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
    time.sleep(0.1)
assert mover.poll() is None, "the rename has ended"
with open(f"/proc/self/fd/{file}") as opened:
    assert opened.read() == "content\n"
assert os.readlink("", dir_fd=link) == "target"
assert mover.wait() == 0
EOF_PY
}

# Somebody else removes all that a directory has in the bucket, while a new file in it is being written: the
# directory stays, and the file is stored.
t_dir_removed_while_written_in() { # s3
    echo x | oc put d/e/x >"$T/null"
    remount meta_ttl=0
    check "the directory stays" env OBS_PORT="$OBS_PORT" OBS_KEYS="$T/keys" python3 - "$M" "$top" <<'EOF_PY'
import os, subprocess, sys
mount, top = sys.argv[1:]
with open(mount + "/d/e/new", "wb", buffering=0) as new:
    new.write(b"one")
    subprocess.run([sys.executable, top + "/tests/lib/obsclient.py", "delete", "d/e/x"], check=True)
    assert os.listdir(mount) == ["d"] # from the bucket, in which nothing is left
    assert os.listdir(mount + "/d") == ["e"]
    assert os.listdir(mount + "/d/e") == ["new"]
    os.stat(mount + "/d/e/new")
    new.write(b"two")
EOF_PY
    check_eq "stored" "$(oc get d/e/new)" onetwo
    check_eq "found" "$(cat "$M/d/e/new")" onetwo
}

# Who is in a directory that somebody else has removed is told so.
t_in_a_removed_dir() { # s3
    echo x | oc put d/x >"$T/null"
    remount meta_ttl=0
    ls "$M/d" >"$T/null"
    exec 5<"$M/d"
    oc delete d/x
    check_eq "names" "$(ls "$M")" ""
    fails "Stale file handle" stat /proc/self/fd/5/y
    exec 5<&-
}

# Listed while names come and go: each name that is there all the time is seen exactly once.
t_list_while_changing() { # s3-long timeout=180
    oc fill d/f 1500
    (
        for i in $(seq 40); do
            echo x >"$M/d/new$i"
            rm -f "$M/d/new$i"
        done
    ) &
    local changer=$!
    local i n
    for i in 1 2 3 4 5; do
        n=$(ls -U "$M/d" | grep -c '^f')
        check_eq "names in round $i" "$n" 1500
        check_eq "each once" "$(ls -U "$M/d" | sort | uniq -d | wc -l)" 0
    done
    wait "$changer"
}

# An open directory can be read again from its beginning, and from a place that was told.
t_seekdir() {
    oc fill d/f 300
    check "seekdir" python3 - "$M/d" <<'EOF_PY'
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.opendir.restype = ctypes.c_void_p
libc.readdir64.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
for f in (libc.readdir64, libc.telldir, libc.rewinddir, libc.closedir):
    f.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
def name(e):
    return ctypes.string_at(e + 19)
d = libc.opendir(os.fsencode(sys.argv[1]))
names, places = [], []
while True:
    places.append(libc.telldir(d))
    e = libc.readdir64(d)
    if not e:
        break
    names.append(name(e))
assert len(names) == 302, len(names)
for i in (0, 5, 299, 150):
    libc.seekdir(d, places[i])
    assert name(libc.readdir64(d)) == names[i], i
libc.rewinddir(d)
assert name(libc.readdir64(d)) == names[0]
libc.closedir(d)
EOF_PY
}

# rm -rf of a directory that is being listed.
t_remove_recursively() { # s3
    oc fill d/f 300
    oc fill d/e/f 300
    check "rm -r" rm -r "$M/d"
    check_eq "keys" "$(keys)" ""
    check_eq "names" "$(ls -A "$M")" ""
}

# A directory that is removed while a process stands in it.
t_remove_current_directory() {
    mkdir "$M/d"
    (
        cd "$M/d" || exit 1
        rmdir "$M/d"
        ls 2>/dev/null
        echo x 2>/dev/null >f && exit 1
        exit 0
    ) || fail "a file was made in a removed directory"
    check_eq "keys" "$(keys)" ""
}

tx_no_dir_markers() { # s3-long
    service_start
    mounted_with dir_markers=off
    mkdir "$M/d"
    check_eq "keys" "$(keys)" ""
    echo x >"$M/d/f"
    check_eq "keys" "$(keys)" d/f
}

. "$(dirname "$0")/lib.sh"
