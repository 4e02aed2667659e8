#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mount(8), umount(8), fstab: the helpers under all their names. Runs in a mount namespace of its own,
# where /usr/sbin is a copy that also has the helpers.
[ "$(id -u)" -ne 0 ] || [ -n "${OBSM_OWN_NS:-}" ] ||
    OBSM_OWN_NS=1 exec unshare --mount --propagation private bash "$0" "$@"
. "$(dirname "$0")/../lib/common.sh"
service_start
M=$T/mnt
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

is_mounted() { grep -q " $M fuse.obsmount" /proc/self/mounts; }

# the types and the old form; every word that mount(8), systemd and people pass
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

# fake, verbose, sloppy; a failure's status and sentence arrive through mount(8)
check "fake" mount -f -t obsmount bkt "$M" -o "$base"
! is_mounted || fail "mount -f mounted"
check "sloppy" mount -s -t obsmount bkt "$M" -o "$base,unheard_of=1"
check "umount" umount "$M"
out=$(mount -t obsmount bkt "$M" -o "$base,unheard_of=1" 2>&1)
check_eq "status of an unknown option ($out)" $? 1
out=$(mount -t obsmount nobucket "$M" -o "$base" 2>&1)
check_eq "status of a missing bucket ($out)" $? 32
case $out in *"no such bucket"*) ;; *) fail "mount(8) hides the reason: $out" ;; esac
out=$(mount -t obsmount bkt "$M" -o "$base,foreground" 2>&1)
check_eq "status of foreground ($out)" $? 1

# a line of fstab; a blank in a path is \040 there
mkdir -p "$T/with blank"
cp "$T/keys" "$T/with blank/keys"
blank=${base/$T\/keys/$T\/with\\040blank\/keys}
cat >"$T/fstab" <<END
bkt $M obsmount _netdev,nofail,nodev,nosuid,allow_other,$blank 0 0
END
check "mount -a" run_limited 60 mount -a -T "$T/fstab"
is_mounted || fail "mount -a mounted nothing"
pid=$(driver_pid "$M")
check "mount -a again" run_limited 60 mount -a -T "$T/fstab"
check_eq "mounts at $M" "$(grep -c " $M fuse" /proc/self/mounts)" 1
check_eq "the driver is the same" "$(driver_pid "$M")" "$pid"
check_eq "findmnt" "$(findmnt -n -o SOURCE,FSTYPE "$M" | tr -s ' ')" "bkt fuse.obsmount"
check_eq "df" "$(df --output=source "$M" | tail -n 1)" bkt
case ,$(findmnt -n -o OPTIONS "$M"), in *,allow_other,*) ;; *) fail "allow_other is missing" ;; esac
head -c 1000000 /dev/urandom >"$T/file"
check "cp" cp "$T/file" "$M/copied"

# umount returns when the driver has gone
check "umount" run_limited 60 umount "$M"
is_gone "$pid" || fail "umount returned before the driver had ended"
check "mount" mount -T "$T/fstab" "$M"
check "what was copied" cmp "$T/file" "$M/copied"
check "lazy umount" umount -l "$M"
check "gone" bash -c "! grep -q ' $M fuse' /proc/self/mounts"

# a busy mount stays
check "mount" mount -T "$T/fstab" "$M"
exec 7<"$M/copied"
out=$(umount "$M" 2>&1)
check_eq "status of umount while busy ($out)" $? 32
case $out in *busy*) ;; *) fail "umount of a busy mount said: $out" ;; esac
exec 7<&-
check "umount" run_limited 60 umount "$M"
