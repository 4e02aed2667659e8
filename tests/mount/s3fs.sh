#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# s3fs.sh - a bucket is shared with s3fs: each reads what the other wrote.

s3fs_mount() {
    command -v s3fs >/dev/null || skip "s3fs is not installed"
    mkdir -p "$T/s3"
    mounted+=("$T/s3")
    run_limited 30 s3fs bkt "$T/s3" -o "url=http://127.0.0.1:$OBS_PORT,use_path_request_style,passwd_file=$T/keys" \
        -o "dbglevel=warn,logfile=$T/s3fs.log,use_xattr" || fail "s3fs does not mount"
    local i
    for ((i = 0; i < 200; i++)); do
        ! grep -q " $T/s3 fuse.s3fs" /proc/self/mounts || return 0
        sleep 0.05
    done
    fail "s3fs is not mounted"
}

s3fs_leave() {
    local pid
    pid=$(pgrep -f "^s3fs bkt $T/s3 " | head -n 1)
    umount -i "$T/s3"
    [ -z "$pid" ] || wait_gone "$pid" 20 || kill -9 "$pid"
}

# attributes of the three kinds of names
look() { # DIR
    (cd "$1" && stat -c '%n %F %a %u %g %Y %s' small large link && stat -c '%n %F %a %u %g %Y' dir && readlink link)
}

make_names() { # DIR
    echo small >"$1/small"
    cp "$T/big" "$1/large"
    ln -s some/target "$1/link"
    mkdir "$1/dir"
    echo in >"$1/dir/in"
    chmod 640 "$1/small"
    chmod 4755 "$1/large"
    chmod 750 "$1/dir"
    chown 12:34 "$1/small" "$1/dir"
    touch -d @1234567890 "$1/small" "$1/large" "$1/dir"
}

t_s3fs_reads_ours() { # s3
    command -v s3fs >/dev/null || skip "s3fs is not installed"
    make_file "$T/big" $((part_size * 2 + 99))
    make_names "$M"
    look "$M" >"$T/ours"
    leave
    s3fs_mount
    look "$T/s3" >"$T/theirs"
    check "attributes" diff "$T/ours" "$T/theirs"
    check "content" cmp "$T/big" "$T/s3/large"
    check_eq "content" "$(cat "$T/s3/small" "$T/s3/dir/in" | xargs)" "small in"
    s3fs_leave
    mounted_with
}

t_we_read_s3fs() { # s3
    command -v s3fs >/dev/null || skip "s3fs is not installed"
    make_file "$T/big" 30000000
    s3fs_mount
    make_names "$T/s3"
    setfattr -n user.color -v green "$T/s3/small"
    look "$T/s3" >"$T/theirs"
    s3fs_leave
    drop_pages
    look "$M" >"$T/ours"
    check "attributes" diff "$T/theirs" "$T/ours"
    check "content" cmp "$T/big" "$M/large"
    check_eq "content" "$(cat "$M/small" "$M/dir/in" | xargs)" "small in"
    check_eq "xattr" "$(getfattr --absolute-names -n user.color --only-values "$M/small")" green
}

. "$(dirname "$0")/lib.sh"
