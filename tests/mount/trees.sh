#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# trees.sh - whole trees by the programs that people use: rsync, tar, git, sqlite, cp -a.

# About 2,000 real files, links, modes, times, and odd names.
make_tree() { # DIR
    mkdir -p "$1"
    (
        cd /usr/include && find . \( -type f -o -type l -o -type d \) | LC_ALL=C sort | head -n "${tree_size:-2000}" |
            tar cf - --no-recursion --files-from=- | tar xf - -C "$1"
    ) || fail "the tree cannot be made"
    mkdir -p "$1/odd dir/"$'new\nline' "$1/empty"
    echo 1 >"$1/odd dir/ü#?&%41+"
    echo 2 >"$1/odd dir/"$'new\nline/x'
    : >"$1/empty file"
    ln -s /nowhere/at/all "$1/dangling"
    ln -s 'odd dir' "$1/to a directory"
    chmod 700 "$1/empty"
    chmod 4711 "$1/empty file"
    touch -d "1999-12-31 23:59:59.987654321 UTC" "$1/empty file" "$1/empty"
    make_file "$1/of parts" $((part_size + 12345))
}

same_trees() { # A B
    check_eq "rsync finds nothing there" "$(rsync -anci --delete "$1/" "$2/")" ""
    check_eq "rsync finds nothing back" "$(rsync -anci --delete "$2/" "$1/")" ""
    check "diff" diff -r --no-dereference "$1" "$2"
}

t_rsync() { # s3 timeout=300
    make_tree "$T/src"
    check "rsync in" rsync -a "$T/src/" "$M/dst/"
    check_eq "times to the nanosecond" "$(stat -c %.9Y "$M/dst/empty file")" 946684799.987654321
    drop_pages
    same_trees "$T/src" "$M/dst"
    check "rsync out" rsync -a "$M/dst/" "$T/back/"
    same_trees "$T/src" "$T/back"
}

# The second run finds everything as it is, and sends nothing.
t_rsync_again() { # s3 timeout=200
    tree_size=300
    make_tree "$T/src"
    check "rsync" rsync -a "$T/src/" "$M/dst/"
    drop_pages
    oc reset
    check "rsync again" rsync -a "$T/src/" "$M/dst/"
    sleep 0.3
    check_eq "PUTs, copies, deletes" "$(puts_copies_deletes)" "0 0 0"
    check_eq "attributes" "$(requests SetObjectMetadata)" 0
}

# After a remount too: what was written here is known, of directories only a HEAD tells.
t_rsync_after_remount() { # s3 timeout=200
    tree_size=100
    make_tree "$T/src"
    head -c $((part_size * 2)) /dev/urandom >"$T/src/parts"
    check "rsync" rsync -aX "$T/src/" "$M/dst/"
    chmod 0640 "$M/dst/parts"
    chmod 0640 "$T/src/parts"
    remount
    oc reset
    check "rsync again" rsync -aX "$T/src/" "$M/dst/"
    sleep 0.3
    check_eq "PUTs, copies, deletes" "$(puts_copies_deletes)" "0 0 0"
    [ "$(requests HeadObject)" -le $(($(find "$T/src" -type d | wc -l) + 1)) ] ||
        fail "$(requests HeadObject) HEADs, more than directories"
    same_trees "$T/src" "$M/dst"
    head -c 5 /dev/zero | oc put dst/parts >"$T/null"
    remount
    check_eq "size of what another one has stored" "$(stat -c %s "$M/dst/parts")" 5
}

# One PUT a file, one a directory; no copy, no delete; and the changes of owner, mode and times that
# rsync makes before the rename go along.
t_rsync_costs() {
    tree_size=300
    make_tree "$T/src"
    mkdir "$M/dst"
    oc reset
    check "rsync" rsync -a "$T/src/" "$M/dst/"
    sleep 0.3
    local files dirs
    files=$(find "$T/src" ! -type d | wc -l)
    dirs=$(find "$T/src" -mindepth 1 -type d | wc -l)
    check_eq "copies and deletes" "$(requests CopyObject CopyPart DeleteObject DeleteObjects)" 0
    local puts all
    puts=$(requests PutObject)
    [ "$puts" -le $((files + dirs + 3)) ] || fail "$puts PUTs for $files files and $dirs directories"
    all=$(requests)
    echo "$files files, $dirs directories: $all requests"
    [ "$all" -le $((files + 4 * dirs + 30)) ] || fail "$all requests for $files files and $dirs directories"
}

t_rsync_update() { # s3
    tree_size=200
    make_tree "$T/src"
    check "rsync" rsync -a "$T/src/" "$M/dst/"
    echo changed >>"$T/src/empty file"
    chmod 600 "$T/src/odd dir/ü#?&%41+"
    touch -d @1 "$T/src/of parts"
    rm "$T/src/dangling"
    mkdir "$T/src/more"
    echo more >"$T/src/more/file"
    check "rsync" rsync -a --delete "$T/src/" "$M/dst/"
    same_trees "$T/src" "$M/dst"
    drop_pages
    same_trees "$T/src" "$M/dst"
}

# rsync with OPTION: a file of one part, one of several, a hidden one, and a name that leaves no room for
# the ending of a temporary one. COPIES and DELETES that this costs with dialect obs.
rsync_way() { # COPIES DELETES OPTION...
    local copies=$1 deletes=$2 long
    shift 2
    long=$(printf '%0255d' 7)
    rm -rf "$T/src" "$M/d"
    mkdir -p "$T/src" "$M/d"
    make_file "$T/src/small" 5000
    head -c 100000 /dev/zero >>"$T/src/small" # with something to be sparse
    make_file "$T/src/$long" 6000
    make_file "$T/src/.hidden" 100
    make_file "$T/src/large" $((part_size * 3 + 5))
    chmod 640 "$T/src/large"
    touch -d @1234567890 "$T/src/small" "$T/src/large"
    if [[ $* == *--append* ]]; then
        head -c 1000 "$T/src/small" >"$M/d/small"
        head -c $((part_size + 9)) "$T/src/large" >"$M/d/large"
    fi
    oc reset
    check "rsync $*" rsync -a "$@" "$T/src/" "$M/d/"
    if [ "$dialect" = obs ]; then
        check_eq "copies, deletes with $*" "$(requests CopyObject) $(requests DeleteObject)" "$copies $deletes"
    fi
    check_eq "names after $*" "$(oc list d/ | cut -f 1 | xargs)" "d/ d/.hidden d/$long d/large d/small"
    check_eq "uploads after $*" "$(oc uploads)" ""
    drop_pages
    check_eq "rsync finds nothing after $*" "$(rsync -anci --delete "$T/src/" "$M/d/")" ""
}

# From a directory to another: who is of several parts was stored there, and is copied. The names have no
# dot in front there, and 2 in 100 of the random endings look like a word: such a file is not held.
t_rsync_temp_dir() { # s3-long
    local i
    mkdir "$M/tmp"
    for i in 1 2 3; do
        ! (rsync_way 1 1 --temp-dir="$M/tmp") || return 0
    done
    fail "three times"
}

# Renamed twice: it waits for the second rename, and is sent once. The directory in between goes too.
t_rsync_delay_updates() { # s3-long
    remount hold_max=600s
    rsync_way 0 1 --delay-updates
    remount hold_max=0
    rsync_way 8 9 --delay-updates
}

t_rsync_partial_dir() { # s3-long
    rsync_way 0 0 --partial-dir=.part
}

t_rsync_preallocate_sparse() { # s3-long
    rsync_way 0 0 --preallocate
    rsync_way 0 0 --sparse
}

t_rsync_append() { # s3-long
    rsync_way 0 0 --append
    rsync_way 0 0 --append-verify
}

t_rsync_inplace() { # s3-long
    make_file "$T/f" $((part_size * 3 + 100))
    touch -d @12345 "$T/f"
    check "rsync" rsync -a --inplace "$T/f" "$M/f"
    printf 'changed' | dd of="$T/f" bs=1 seek=$((part_size + 50)) conv=notrunc status=none
    check "rsync" rsync -a --inplace --no-whole-file "$T/f" "$M/f"
    drop_pages
    check "content" cmp "$T/f" "$M/f"
    check_eq "rsync finds nothing" "$(rsync -anci "$T/f" "$M/f")" ""
}

t_cp_a() { # s3-long timeout=200
    tree_size=300
    make_tree "$T/src"
    check "cp -a in" cp -a "$T/src" "$M/dst"
    drop_pages
    same_trees "$T/src" "$M/dst"
    check "cp -a out" cp -a "$M/dst" "$T/back"
    same_trees "$T/src" "$T/back"
    check "cp -a within" cp -a "$M/dst" "$M/dst2"
    same_trees "$T/src" "$M/dst2"
}

t_tar() { # s3 timeout=200
    tree_size=300
    make_tree "$T/src"
    tar cf "$T/a.tar" -C "$T/src" .
    mkdir "$M/x"
    check "tar x" tar xpf "$T/a.tar" -C "$M/x"
    drop_pages
    same_trees "$T/src" "$M/x"
    check "tar d" tar df "$T/a.tar" -C "$M/x"
    check "tar c inside" tar cf "$M/b.tar" -C "$M/x" .
    mkdir "$T/y"
    check "tar x outside" tar xpf "$M/b.tar" -C "$T/y"
    same_trees "$T/src" "$T/y"
}

t_git() { # s3 timeout=200
    command -v git >/dev/null || skip "git is not installed"
    export HOME=$T GIT_CONFIG_NOSYSTEM=1
    git config --global user.name Tester
    git config --global user.email tester@example.org
    git config --global init.defaultBranch main
    git config --global safe.directory '*'
    git init -q "$T/origin"
    local i
    for i in $(seq 60); do
        mkdir -p "$T/origin/d$((i % 7))"
        seq "$i" $((i * 30)) >"$T/origin/d$((i % 7))/f$i"
        [ $((i % 20)) -ne 0 ] || (cd "$T/origin" && git add . && git commit -qm "step $i") || fail "commit"
    done
    check "git clone" git clone -q "$T/origin" "$M/clone"
    (
        cd "$M/clone" || exit 1
        check "git fsck" git fsck --strict
        check_eq "git status" "$(git status --porcelain)" ""
        echo new >new
        git rm -q d1/f1
        git mv d2/f2 d3/moved
        git add .
        check "git commit" git commit -qm "in the mount"
        check "git branch" git checkout -q -b other HEAD~2
        check "git checkout" git checkout -q main
        check "git gc" git gc -q
        check "git fsck" git fsck --strict
        check_eq "git status" "$(git status --porcelain)" ""
    ) || fail "git in the mount"
    drop_pages
    check "git fsck after a remount" git -C "$M/clone" fsck --strict
    check_eq "git status" "$(git -C "$M/clone" status --porcelain)" ""
    check "git push" git -C "$M/clone" push -q "$T/origin" main:from-mount
    check_eq "commits" "$(git -C "$T/origin" rev-list --count from-mount)" 4
}

t_sqlite() { # s3 timeout=200
    command -v sqlite3 >/dev/null || skip "sqlite3 is not installed"
    local db=$M/data.db
    check "create" sqlite3 "$db" "create table t (a integer primary key, b text);"
    check "insert" sqlite3 "$db" "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
        insert into t select i, hex(randomblob(40)) from n;"
    check "update" sqlite3 "$db" "update t set b = 'x' where a % 7 = 0; delete from t where a % 5 = 0;"
    check "index" sqlite3 "$db" "create index i on t (b);"
    check_eq "integrity" "$(sqlite3 "$db" "pragma integrity_check;")" ok
    check "vacuum" sqlite3 "$db" "vacuum;"
    drop_pages
    check_eq "integrity after a remount" "$(sqlite3 "$db" "pragma integrity_check;")" ok
    check_eq "rows" "$(sqlite3 "$db" "select count(*) from t;")" 16000
    check_eq "objects" "$(oc list | cut -f 1)" data.db
    oc get data.db >"$T/copy.db"
    check_eq "integrity of the object" "$(sqlite3 "$T/copy.db" "pragma integrity_check;")" ok
}

t_sed_in_place() { # s3
    seq 1000 >"$M/f"
    chmod 640 "$M/f"
    sync "$M/f" # so that chmod's request is not counted
    oc reset
    check "sed -i" sed -i 's/^5/five/' "$M/f"
    check_eq "content" "$(md5sum <"$M/f")" "$(seq 1000 | sed 's/^5/five/' | md5sum)"
    check_eq "in the bucket" "$(oc get f | md5sum)" "$(seq 1000 | sed 's/^5/five/' | md5sum)"
    check_eq "mode" "$(stat -c %a "$M/f")" 640
    check_eq "objects" "$(oc list | cut -f 1)" f
    check_eq "PUTs, copies, deletes" "$(puts_copies_deletes)" "1 0 0"
}

# Each object of git is one upload: it is renamed from a temporary name of git's own.
t_git_objects() { # s3-long
    check "init" git init -q "$M/r"
    for ((i = 0; i < 20; i++)); do echo "$i" >"$M/r/$i"; done
    oc reset
    check "add" git -C "$M/r" add -A
    check_eq "copies" "$(oc log CopyObject | grep -c '/objects/')" 0
    check_eq "PUTs" "$(oc log PutObject | grep -c '/objects/../[0-9a-f]')" 20
    check "commit" git -C "$M/r" -c user.email=a@example.com -c user.name=a commit -qm 1
    check "repack" git -C "$M/r" repack -adq
    drop_pages
    check "fsck" git -C "$M/r" fsck --strict
    check_eq "temporary names" "$(oc list | grep -c tmp_)" 0
}

# What Python compiles when it imports: stored under its final name at once, with the source's mode.
t_python_cache() { # s3-long
    echo "x = 1" >"$M/mod.py"
    chmod 640 "$M/mod.py"
    oc reset
    check "import" env PYTHONPATH="$M" PYTHONDONTWRITEBYTECODE= python3 -c "import mod"
    check_eq "copies" "$(requests CopyObject)" 0
    check_eq "objects" "$(oc list __pycache__/mod | wc -l)" 1
    check_eq "PUTs" "$(oc log PutObject | grep -c '/mod')" 1
    check_eq "mode" "$(stat -c %a "$M"/__pycache__/*)" 640
}

# What editors do: write a new file, keep a backup by a rename, rename the new one over the old name.
t_editor_with_backup() { # s3-long
    echo one >"$M/f"
    check "edit" python3 -c '
import os, sys
p = sys.argv[1]
with open(p + ".new", "w") as f:
    f.write("two\n")
    f.flush()
    os.fsync(f.fileno())
os.rename(p, p + "~")
os.rename(p + ".new", p)' "$M/f"
    check_eq "new" "$(oc get f)" two
    check_eq "backup" "$(oc get f~)" one
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" "f f~"
}

t_zip_python() { # s3-long
    check "zip" python3 -c '
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as z:
    for i in range(300):
        z.writestr(f"d/f{i}", bytes([i % 256]) * i * 10)
with zipfile.ZipFile(sys.argv[1], "a") as z:
    z.writestr("late", b"late")
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    assert len(z.namelist()) == 301
    assert z.read("late") == b"late"' "$M/a.zip"
    drop_pages
    check "zip after a remount" python3 -m zipfile -t "$M/a.zip"
}

# A program is run from the mount.
t_execute() { # s3-long
    cp /bin/true "$M/prog"
    check "run" "$M/prog"
    printf '#!/bin/sh\necho "$1"\n' >"$M/script"
    chmod +x "$M/script"
    check_eq "script" "$("$M/script" hello)" hello
    drop_pages
    check "run after a remount" "$M/prog"
}

t_find_and_read() {
    tree_size=300
    make_tree "$T/src"
    cp -a "$T/src" "$M/dst"
    check_eq "find" "$(cd "$M/dst" && find . | wc -l)" "$(cd "$T/src" && find . | wc -l)"
    check_eq "content" "$(cd "$M/dst" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum | md5sum)" \
        "$(cd "$T/src" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum | md5sum)"
}

# A tree as a source archive has: 50,000 files in 2,600 directories, up to 16 KiB, and links.
make_archive() { # FILE
    python3 - "$1" <<'EOF_PY'
import io, random, sys, tarfile
rng = random.Random(1)
block = rng.randbytes(1 << 16)
with tarfile.open(sys.argv[1], "w") as tar:
    def add(name, kind, content=b"", target=""):
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname = kind, len(content), target
        info.mode = 0o755 if kind == tarfile.DIRTYPE or rng.random() < 0.05 else 0o644
        info.mtime = 1600000000 + rng.randrange(1 << 26)
        tar.addfile(info, io.BytesIO(content))
    add("tree", tarfile.DIRTYPE)
    for i in range(100):
        add(f"tree/{i}", tarfile.DIRTYPE)
        for j in range(25):
            add(f"tree/{i}/{j}", tarfile.DIRTYPE)
            for k in range(20):
                at = rng.randrange(1 << 15)
                add(f"tree/{i}/{j}/file-{k}.c", tarfile.REGTYPE, block[at:at + rng.randrange(rng.choice((64, 4096, 16384)))])
        add(f"tree/{i}/link", tarfile.SYMTYPE, target="0/file-1.c")
EOF_PY
}

t_untar_50000() { # long timeout=3600
    make_archive "$T/tree.tar"
    oc reset
    local start=$SECONDS
    check "tar" tar -C "$M" -xf "$T/tree.tar"
    echo "untar: $((SECONDS - start)) s, $(requests) requests: $(puts_copies_deletes) PUTs, copies, deletes"
    check_eq "objects" "$(oc list | wc -l)" $((50000 + 2600 + 1 + 100))
    remount
    start=$SECONDS
    check "compare" tar -C "$M" -df "$T/tree.tar"
    echo "compare: $((SECONDS - start)) s"
    oc reset
    start=$SECONDS
    check "rm" rm -rf "$M/tree"
    echo "rm -rf: $((SECONDS - start)) s, $(requests) requests: $(puts_copies_deletes) PUTs, copies, deletes"
    check_eq "names" "$(ls -A "$M")" ""
    leave
    check_eq "objects" "$(oc list)" ""
    check_eq "uploads" "$(oc uploads)" ""
}

. "$(dirname "$0")/lib.sh"
