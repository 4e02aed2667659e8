#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# names.sh - names of files, keys of objects.

# A file of this name goes in, is listed, is read, is renamed to and fro, and removed; the key is the name.
odd_name() { # NAME
    local name=$1
    printf '%s' "$name" >"$M/$name" || fail "cannot write '$name'"
    check_eq "key" "$(oc get "$name")" "$name"
    drop_pages
    check_eq "listed" "$(cd "$M" && printf '%s|' * .[!.]*)" "$name|.[!.]*|"
    check_eq "content" "$(cat "$M/$name")" "$name"
    check "mv" mv "$M/$name" "$M/plain"
    check "mv back" mv "$M/plain" "$M/$name"
    check "mkdir" mkdir "$M/dir"
    check "mv into a directory" mv "$M/$name" "$M/dir/$name"
    check "mv the directory" mv "$M/dir" "$M/dir $name"
    check_eq "content" "$(cat "$M/dir $name/$name")" "$name"
    check "rm" rm -r "$M/dir $name"
    check_eq "objects" "$(oc list)" ""
}

t_spaces() { # s3-long
    odd_name " two  spaces "
}

t_quotes() { # s3-long
    odd_name "it's \"quoted\" \`so\`"
}

t_percent() { # s3-long
    odd_name '100%25 %zz %'
}

t_plus() { # s3-long
    odd_name 'a+b c'
}

t_hash_question() { # s3-long
    odd_name '#a?b&c=d;e'
}

t_xml_characters() { # s3
    odd_name '<a>&amp;<b>]]>'
}

t_backslash_star() { # s3-long
    odd_name 'a\b*[c]{d}|~!@$^()'
}

t_utf8() { # s3
    odd_name 'naïve–日本語-🗻'
}

# Two forms of the same letter are two names.
t_utf8_forms() { # s3-long
    printf one >"$M/"$'\u00e9'
    printf two >"$M/e"$'\u0301'
    drop_pages
    check_eq "names" "$(ls "$M" | wc -l)" 2
    check_eq "composed" "$(cat "$M/"$'\u00e9')" one
    check_eq "decomposed" "$(cat "$M/e"$'\u0301')" two
}

t_newline() { # s3
    odd_name $'two\nlines'
}

t_control_characters() { # s3-long
    odd_name $'tab\tbell\aescape\eend\x7f'
}

t_leading_dash_dot() { # s3-long
    printf x >"$M/-rf"
    printf y >"$M/..dots"
    printf z >"$M/..."
    check_eq "names" "$(ls -A "$M" | xargs)" "-rf ... ..dots"
    drop_pages
    check_eq "names" "$(ls -A "$M" | xargs)" "-rf ... ..dots"
}

t_query_like() { # s3
    odd_name 'uploads'
    odd_name '?acl'
    odd_name 'f?uploadId=1&partNumber=2'
}

# A name in a large file's upload stands in many requests.
t_odd_name_in_parts() { # s3
    local name=$'ü +%41?&#\n"x'
    make_file "$T/f" $((part_size + 100))
    check "cp" cp "$T/f" "$M/$name"
    check "append" sh -c 'echo more >>"$1"' _ "$M/$name"
    echo more >>"$T/f"
    check "mv" mv "$M/$name" "$M/2$name"
    drop_pages
    check "content" cmp "$T/f" "$M/2$name"
}

t_longest_name() { # s3-long
    local name
    name=$(printf '%0255d' 7)
    printf x >"$M/$name" || fail "255 bytes"
    check "mkdir" mkdir "$M/d$(printf '%0254d' 7)"
    drop_pages
    check_eq "content" "$(cat "$M/$name")" x
    fails "File name too long" touch "$M/${name}8"
    fails "File name too long" mkdir "$M/${name}8"
    fails "File name too long" ls "$M/${name}8"
    fails "File name too long" mv "$M/$name" "$M/${name}8"
    fails "File name too long" ln -s x "$M/${name}8"
}

# A path whose key has 1024 bytes, and one more.
t_longest_key() { # s3
    local part dir
    part=$(printf '%0249d' 7)
    dir=$M/$part/$part/$part/$part # 4 * 250 bytes with the slashes
    check "mkdir -p" mkdir -p "$dir"
    check "24 bytes more" touch "$dir/$(printf '%024d' 1)"
    fails "File name too long" touch "$dir/$(printf '%025d' 1)"
    check "a directory: its key ends in a slash" mkdir "$dir/$(printf '%023d' 2)"
    fails "File name too long" mkdir "$dir/$(printf '%024d' 2)"
    fails "File name too long" mv "$dir/$(printf '%024d' 1)" "$dir/$(printf '%025d' 1)"
    fails "File name too long" ln -s x "$dir/$(printf '%025d' 1)"
    fails "File name too long" mv "$M/$part" "$M/2$part"
    drop_pages
    check_eq "names" "$(ls "$dir" | wc -l)" 2
}

t_longest_key_below_prefix() { # s3-long
    local part
    part=$(printf '%0249d' 7)
    leave
    mnt "bkt:/$part/$part/$part/$part" "$M" "dialect=$dialect" || fail "the mount"
    check "24 bytes" touch "$M/$(printf '%024d' 1)"
    fails "File name too long" touch "$M/$(printf '%025d' 1)"
}

t_not_utf8() { # s3-long
    fails "Invalid or incomplete multibyte" python3 -c '
import os, sys
os.close(os.open(os.fsencode(sys.argv[1]) + b"/\xff\xfe", os.O_CREAT | os.O_WRONLY))' "$M"
    fails "Invalid or incomplete multibyte" python3 -c '
import os, sys
os.mkdir(os.fsencode(sys.argv[1]) + b"/a\xc3")' "$M"
    fails "No such file" python3 -c '
import os, sys
os.stat(os.fsencode(sys.argv[1]) + b"/\xed\xa0\x80")' "$M"
    echo x >"$M/f"
    fails "Invalid or incomplete multibyte" python3 -c '
import os, sys
os.rename(os.fsencode(sys.argv[1]) + b"/f", os.fsencode(sys.argv[1]) + b"/\xc0\xaf")' "$M"
    check_eq "objects" "$(oc list | cut -f 1)" f
}

# Keys that a path cannot name are hidden, counted, named once in the log, and do no harm.
t_keys_without_paths() { # s3
    local key long hidden
    long=$(printf '%0300d' 7)
    hidden=('//' 'x//y' 'a/../b' 'a/./b' '.' '..' '/lead' "$long" "c/$long" "c/$long/d" 'good//')
    for key in good/f "${hidden[@]}"; do
        echo "$key" | oc put "$key" >/dev/null || fail "put $key"
    done
    drop_pages
    check "find" find "$M" -ls >"$T/tree"
    check_eq "names" "$(cd "$M" && find . -type f | LC_ALL=C sort | xargs)" "./good/f"
    check_eq "content" "$(cat "$M/good/f")" good/f
    check "more can be written" sh -c 'echo x >"$1/a/new"' _ "$M"
    check "rm" rm "$M/good/f"
    for key in "${hidden[@]}"; do
        check_eq "the others are untouched" "$(oc get "$key")" "$key"
    done
    grep -qi 'hidden' "$T/mount.log" || fail "the log names none of them"
}

# Both "d" and "d/": the directory is shown.
t_file_and_directory() { # s3-long
    echo file | oc put d >/dev/null
    oc put d/ /dev/null >/dev/null
    echo in | oc put d/f >/dev/null
    echo file | oc put e >/dev/null
    echo in | oc put e/f >/dev/null
    local i
    for i in 1 2; do
        check_eq "names" "$(ls "$M" | xargs)" "d e"
        check_eq "kinds" "$(stat -c %F "$M/d" "$M/e" | xargs)" "directory directory"
        check_eq "inside" "$(cat "$M/d/f" "$M/e/f" | xargs)" "in in"
        drop_pages
    done
    echo new >"$M/d/g"
    check_eq "the hidden objects are untouched" "$(oc get d)$(oc get e)" filefile
}

# Names that sort around "/": "d", "d!", "d/", "d0" stand in different places of a listing.
t_order_around_slash() { # s3-long
    local name
    for name in 'd!' 'd-' 'd.x' 'd/in' 'd0' 'dd' 'd'; do
        echo "$name" | oc put "$name" >/dev/null
    done
    check_eq "names" "$(ls "$M" | LC_ALL=C sort | xargs)" "d d! d- d.x d0 dd"
    check_eq "one by one" "$(for name in 'd!' d- d.x d0 dd d; do stat -c %F "$M/$name"; done | sort | uniq -c | xargs)" \
        "1 directory 5 regular file"
}

# A directory whose name is the beginning of many others', looked up before it is listed.
t_lookup_of_a_beginning() { # s3-long
    oc fill a 1200 1
    echo in | oc put a/f >/dev/null
    check_eq "kind" "$(stat -c %F "$M/a")" directory
    check_eq "inside" "$(cat "$M/a/f")" in
    fails "No such file" stat "$M/a0"
    check_eq "kind" "$(stat -c %F "$M/a00011")" "regular file"
}

. "$(dirname "$0")/lib.sh"
