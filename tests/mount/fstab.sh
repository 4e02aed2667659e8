#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fstab.sh - mount(8), umount(8) and /etc/fstab, with the installed helpers.
#
# The test runs in a mount namespace of its own, in which /sbin has the helpers and /etc/fstab is ours.

if [ "${OBSM_FSTAB_INSIDE:-}" != 1 ] && [ $# -gt 0 ]; then
    if ! unshare --mount true 2>/dev/null; then
        echo "skipped: no mount namespace can be made"
        exit 77
    fi
    OBSM_FSTAB_INSIDE=1 exec unshare --mount --propagation private bash "$0" "$@"
fi

# Shows what stands in FROM at the directory TO too, in this namespace only.
overlay() { # FROM TO
    local to
    to=$(realpath "$2")
    mount -t overlay overlay -o "lowerdir=$1:$to" "$to" 2>/dev/null || skip "no overlay can be mounted"
}

# Installs below $T; the links of the helpers lead to the installed binary.
install_helpers() {
    mkdir -p "$M"
    mounted+=("$M")
    cmake --install "$OBSM_BUILD" --prefix "$T/usr" >"$T/install.log" 2>&1 ||
        fail "install: $(tail -n 3 "$T/install.log")"
    local name
    for name in mount.obsmount mount.fuse.obsmount umount.obsmount umount.fuse.obsmount; do
        [ -x "$T/usr/sbin/$name" ] || fail "$name was not installed"
    done
    mkdir -p /run/mount && mount -t tmpfs tmpfs /run/mount || skip "no tmpfs can be mounted"
    overlay "$T/usr/sbin" /sbin
    overlay "$T/usr/bin" /usr/bin
}

fstab() { # LINE...
    printf '%s\n' "$@" >"$T/fstab"
    mount --bind "$T/fstab" /etc/fstab || skip "no bind mount over /etc/fstab"
}

options() {
    echo "endpoint=http://localhost:$OBS_PORT,credential_file=$T/keys,state_dir=$T/state,log_file=$T/mount.log"
}

# One line of fstab: mounted, seen, mounted again without harm, unmounted, all in the bucket.
fstab_round() { # SOURCE TYPE SHOWN-SOURCE [OPTIONS]
    install_helpers
    service_start
    fstab "$1 $M $2 _netdev,nofail,nodev,nosuid,allow_other,x-systemd.mount-timeout=5min,$(options)${4:+,$4} 0 0"
    mkdir -p "$M"
    check "mount -a" run_limited 60 mount -a
    check_eq "findmnt" "$(findmnt -no SOURCE,FSTYPE "$M" | xargs)" "$3 fuse.obsmount"
    check "df" df "$M" >/dev/null
    findmnt -no OPTIONS "$M" | grep -q nosuid || fail "nosuid is not in effect"
    make_file "$T/big" 20000000
    check "cp" cp "$T/big" "$M/big"
    # mount(8) does not know the legacy form again
    [ "$2" = fuse ] || check "mount -a again" run_limited 60 mount -a
    check_eq "mounted once" "$(grep -c " $M fuse.obsmount " /proc/self/mounts)" 1
    check "content" cmp "$T/big" "$M/big"
    echo held >"$M/.f.Ab12Cd"
    driver=$(driver_pid "$M")
    check "umount" run_limited 60 umount "$M"
    case $(cat "/proc/$driver/stat" 2>/dev/null) in
    "" | *") Z "*) ;;
    *) fail "umount did not wait for the driver" ;;
    esac
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" ".f.Ab12Cd big"
    check "mount MOUNTPOINT" run_limited 60 mount "$M"
    check "content" cmp "$T/big" "$M/big"
    check "umount" run_limited 60 umount "$M"
}

tx_type_obsmount() {
    fstab_round bkt obsmount bkt
}

tx_type_fuse_obsmount() {
    fstab_round bkt fuse.obsmount bkt
}

tx_legacy_source() {
    fstab_round "obsmount#bkt" fuse bkt
}

tx_prefix_and_spaces() {
    M="$T/a b"
    install_helpers
    service_start
    fstab "bkt:/some/prefix ${M// /\\040} obsmount _netdev,$(options) 0 0"
    check "mount -a" run_limited 60 mount -a
    echo x >"$M/f"
    check "umount" run_limited 60 umount "$M"
    check_eq "objects" "$(oc list | cut -f 1)" some/prefix/f
}

tx_mount_command() {
    install_helpers
    service_start
    local opts
    opts=$(options)
    check "mount -t" run_limited 60 mount -t obsmount bkt "$M" -o "$opts,ro"
    findmnt -no OPTIONS "$M" | grep -qw ro || fail "it is not read-only"
    check "umount" run_limited 60 umount "$M"
    check "mount -v" run_limited 60 mount -v -t obsmount bkt "$M" -o "$opts,user,owner,group,noauto,nofail,_netdev,x-a.b=c"
    check "umount -l" run_limited 60 umount -l "$M"
    check "fake" run_limited 60 mount -f -t obsmount bkt "$M" -o "$opts"
    ! grep -q " $M fuse" /proc/self/mounts || fail "mount -f has mounted"
    fails "nosuchoption" run_limited 60 mount -t obsmount bkt "$M" -o "$opts,nosuchoption"
    run_limited 60 mount -t obsmount nosuch "$M" -o "$opts" 2>"$T/err"
    check_eq "exit code" "$?" 32
    grep -q nosuch "$T/err" || fail "the reason is not told: $(cat "$T/err")"
}

# mount -s: unknown options are tolerated.
tx_sloppy() {
    install_helpers
    service_start
    check "mount -s" run_limited 60 mount -s -t obsmount bkt "$M" -o "$(options),nosuchoption"
    check "umount" run_limited 60 umount "$M"
}

# The uses of umount(8): busy is told, and by its exit code.
tx_umount_busy() {
    install_helpers
    service_start
    check "mount" run_limited 60 mount -t obsmount bkt "$M" -o "_netdev,$(options)"
    exec 5>"$M/f"
    fails "busy" run_limited 60 umount "$M"
    exec 5>&-
    check "umount" run_limited 60 umount "$M"
}

. "$(dirname "$0")/lib.sh"
