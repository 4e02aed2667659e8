#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# copy.sh - cp in and out: sizes around a part, ETags, attributes over a remount.

# The content goes in, comes out again, and the object has the ETag that the protocol says.
there_and_back() { # SIZE
    local size=$1
    make_file "$T/in" "$size"
    check "cp in" cp "$T/in" "$M/f"
    check_eq "the ETag" "$(stored_etag f)" "$(oc etag "$T/in" $part_size)"
    check_eq "the size by the writer's mount" "$(stat -c %s "$M/f")" "$size"
    drop_pages
    check_eq "the size" "$(stat -c %s "$M/f")" "$size"
    check "cmp" cmp "$T/in" "$M/f"
    check "cp out" cp "$M/f" "$T/out"
    check "cmp of the copy" cmp "$T/in" "$T/out"
    check_eq "the state directory holds no data" \
        "$(find "$T/state" -type f -size +64k | wc -l)" 0
}

t_size_0() { # s3
    there_and_back 0
}

t_size_1() { # s3
    there_and_back 1
}

t_size_part_minus_1() { # s3
    there_and_back $((part_size - 1))
}

t_size_part() { # s3
    there_and_back $part_size
}

t_size_part_plus_1() { # s3
    there_and_back $((part_size + 1))
}

# The default part size, many parts.
tx_size_100m_plus_7() { # s3
    part_size=$((9 * 1024 * 1024))
    service_start
    mounted_with
    there_and_back $((100 * 1024 * 1024 + 7))
}

tx_size_1g() { # s3 long timeout=600
    part_size=$((9 * 1024 * 1024))
    service_start
    mounted_with
    there_and_back $((1024 * 1024 * 1024))
}

# Eight files at once, each of some parts.
t_eight_at_once() { # s3
    local i
    for i in 1 2 3 4 5 6 7 8; do make_file "$T/in$i" $((part_size * 2 + i)); done
    local pids=()
    for i in 1 2 3 4 5 6 7 8; do
        cp "$T/in$i" "$M/f$i" &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || fail "a copy failed"; done
    drop_pages
    for i in 1 2 3 4 5 6 7 8; do check "cmp" cmp "$T/in$i" "$M/f$i"; done
}

# cp -p: mode, owner and times to the nanosecond, for a single PUT and for an upload in parts.
t_attributes_survive() { # s3
    local size name
    for size in 100 $((part_size + 5)); do
        name=f$size
        make_file "$T/$name" "$size"
        chown 1234:5678 "$T/$name"
        chmod 4751 "$T/$name"
        touch -m -d "2019-03-04 05:06:07.123456789 UTC" "$T/$name"
        check "cp -p" cp -p "$T/$name" "$M/$name"
        check_eq "attributes at once" "$(stat -c '%a %u %g %.9Y' "$M/$name")" \
            "4751 1234 5678 1551675967.123456789"
    done
    drop_pages
    for name in f100 f$((part_size + 5)); do
        check_eq "attributes after a remount" "$(stat -c '%a %u %g %.9Y' "$M/$name")" \
            "4751 1234 5678 1551675967.123456789"
    done
}

# An object that somebody else stored has the mount's owner and mode, and the time of its storing.
t_foreign_object() { # s3
    echo hello | oc put other >/dev/null
    drop_pages uid=77,gid=88,umask=027
    check_eq "attributes" "$(stat -c '%a %u %g %s' "$M/other")" "640 77 88 6"
    local age=$(($(date +%s) - $(stat -c %Y "$M/other")))
    [ "$age" -ge -1 ] && [ "$age" -le 60 ] || fail "its time is $age s ago"
    check_eq "content" "$(cat "$M/other")" hello
}

# The mount of a prefix shows only what is below it.
tx_prefix() { # s3
    service_start
    echo 1 | oc put a/b/c >/dev/null
    echo 2 | oc put a/bc >/dev/null
    M=$T/m
    mnt "bkt:/a/b" "$M" "dialect=$dialect" || fail "the mount"
    check_eq "names" "$(ls "$M")" c
    echo new >"$M/d"
    check_eq "keys" "$(oc list | cut -f 1 | xargs)" "a/b/c a/b/d a/bc"
}

. "$(dirname "$0")/lib.sh"
