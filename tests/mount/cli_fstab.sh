#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cli_fstab.sh - mount(8), umount(8), fstab: the helpers under all their names. Each case runs in a
# mount namespace of its own, where /usr/sbin is a copy that also has the helpers.
if [ $# -gt 0 ] && [ -z "${OBSM_OWN_NS:-}" ] && [ "$(id -u)" -eq 0 ]; then
    export OBSM_OWN_NS=1
    # in a chroot the propagation of "/" cannot be changed; there nothing must be shared already
    propagation=private
    if ! unshare --mount --propagation private true 2>/dev/null; then
        propagation=unchanged
        if grep -q ' shared:' /proc/self/mountinfo; then
            echo "skipped: no mount namespace of its own can be had here"
            exit 77
        fi
    fi
    exec unshare --mount --propagation "$propagation" bash "$0" "$@"
fi

ready() {
    local sbin name
    service_start
    mkdir -p "$M" "$T/sbin"
    sbin=$(readlink -f /sbin)
    cp -a "$sbin/." "$T/sbin/"
    cp "$OBSMOUNT" "$T/sbin/obsmount"
    for name in mount.obsmount mount.fuse.obsmount umount.obsmount umount.fuse.obsmount; do
        ln -sf obsmount "$T/sbin/$name"
    done
    check "a copy of $sbin" mount --bind "$T/sbin" "$sbin"
    base=$(base_options)
    mounted+=("$M")
}

is_mounted() { grep -q " $M fuse.obsmount" /proc/self/mounts; }

# the types and the old form; every word that mount(8), systemd and people pass
tx_forms() {
    ready
    local words form source
    words="_netdev,nofail,x-systemd.automount,x-systemd.mount-timeout=5min,comment=none,noatime,user,owner"
    for form in "obsmount bkt" "fuse.obsmount bkt" "fuse obsmount#bkt" "obsmount bkt:/sub"; do
        check "mount -t $form" run_limited 60 mount -t "${form% *}" "${form#* }" "$M" -o "rw,$words,$base"
        is_mounted || fail "$form: status 0, but nothing is mounted"
        check "answer" stat -f "$M" >/dev/null
        source=${form#* }
        check_eq "source" "$(findmnt -n -o SOURCE "$M")" "${source#*#}"
        check "write" bash -c "echo '$form' > '$M/file'"
        check "umount" run_limited 60 umount "$M"
        ! is_mounted || fail "$form: still mounted"
    done
}

# fake, sloppy; a failure's status and sentence arrive through mount(8)
tx_flags_and_failures() {
    ready
    local out got
    check "fake" mount -f -t obsmount bkt "$M" -o "$base"
    ! is_mounted || fail "mount -f mounted"
    check "sloppy" mount -s -t obsmount bkt "$M" -o "$base,unheard_of=1"
    check "umount" umount "$M"
    out=$(mount -t obsmount bkt "$M" -o "$base,unheard_of=1" 2>&1) && got=0 || got=$?
    check_eq "status of an unknown option ($out)" "$got" 1
    out=$(mount -t obsmount nobucket "$M" -o "$base" 2>&1) && got=0 || got=$?
    check_eq "status of a missing bucket ($out)" "$got" 32
    case $out in
    *"no such bucket"*) ;;
    *) fail "mount(8) hides the reason: $out" ;;
    esac
    out=$(mount -t obsmount bkt "$M" -o "$base,foreground" 2>&1) && got=0 || got=$?
    check_eq "status of foreground ($out)" "$got" 1
}

# writes a line of fstab; a blank in a path is \040 there
write_fstab() {
    mkdir -p "$T/with blank"
    cp -p "$T/keys" "$T/with blank/keys"
    local blank=${base/$T\/keys/$T\/with\\040blank\/keys}
    echo "bkt $M obsmount _netdev,nofail,nodev,nosuid,allow_other,$blank 0 0" >"$T/fstab"
}

tx_mount_all() {
    ready
    write_fstab
    check "mount -a" run_limited 60 mount -a -T "$T/fstab"
    is_mounted || fail "mount -a mounted nothing"
    local pid
    pid=$(driver_pid "$M")
    check "mount -a again" run_limited 60 mount -a -T "$T/fstab"
    check_eq "mounts at $M" "$(grep -c " $M fuse" /proc/self/mounts)" 1
    check_eq "the driver is the same" "$(driver_pid "$M")" "$pid"
    check_eq "findmnt" "$(findmnt -n -o SOURCE,FSTYPE "$M" | tr -s ' ')" "bkt fuse.obsmount"
    check_eq "df" "$(df --output=source "$M" | tail -n 1)" bkt
    case ,$(findmnt -n -o OPTIONS "$M"), in
    *,allow_other,*) ;;
    *) fail "allow_other is missing" ;;
    esac
}

# umount(8) returns when the driver has gone, and everything is in the bucket
tx_umount_waits() {
    ready
    write_fstab
    check "mount" run_limited 60 mount -T "$T/fstab" "$M"
    local pid
    pid=$(driver_pid "$M")
    head -c 30000000 /dev/urandom >"$T/file"
    check "cp" cp "$T/file" "$M/copied"
    mkdir "$M/dir"
    : >"$M/dir/empty"
    chmod 640 "$M/copied"
    check "umount" run_limited 60 umount "$M"
    is_gone "$pid" || fail "umount returned before the driver had ended"
    check "mount" run_limited 60 mount -T "$T/fstab" "$M"
    check "what was copied" cmp "$T/file" "$M/copied"
    check_eq "its mode" "$(stat -c %a "$M/copied")" 640
    check_eq "the empty file" "$(stat -c %s "$M/dir/empty")" 0
    check "lazy umount" umount -l "$M"
    ! is_mounted || fail "umount -l left the mount"
}

tx_busy() {
    ready
    write_fstab
    check "mount" run_limited 60 mount -T "$T/fstab" "$M"
    echo text >"$M/open"
    exec 7<"$M/open"
    local out got
    out=$(umount "$M" 2>&1) && got=0 || got=$?
    check_eq "status of umount while busy ($out)" "$got" 32
    case $out in
    *busy*) ;;
    *) fail "umount of a busy mount said: $out" ;;
    esac
    check_eq "still readable" "$(cat <&7)" text
    exec 7<&-
    check "umount" run_limited 60 umount "$M"
}

. "$(dirname "$0")/lib.sh"
