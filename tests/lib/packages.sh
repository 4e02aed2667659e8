# SPDX-License-Identifier: Apache-2.0
# packages.sh - the Debian packages that are needed, by purpose; sourced by bash scripts.
#
# need_packages NAME...  installs those that are missing. Nothing is asked of the network if all are
# there. Without the right to install, it says what to run and returns 1.

packages_build=(
    gcc libc6-dev cmake ninja-build pkg-config
    libfuse3-dev libcurl4-openssl-dev libssl-dev libxml2-dev libjansson-dev libsqlite3-dev uthash-dev
    libcmocka-dev libmicrohttpd-dev
)
packages_run=(fuse3 mount media-types ca-certificates)
packages_test=(
    clang-format universal-ctags mandoc binutils
    rsync git attr acl python3 python3-venv openssl procps psmisc sqlite3 libxml2-utils s3fs
)
packages_clang=(clang llvm)
packages_valgrind=(valgrind)

missing_packages() {
    local name
    for name in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$name" 2>/dev/null) in
        *" installed") ;;
        *) echo "$name" ;;
        esac
    done
}

need_packages() {
    local -a missing root
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || {
        echo "these packages (named as in Debian 12) are needed: ${missing[*]}" >&2
        return 1
    }
    root=()
    if [ "$(id -u)" -ne 0 ]; then
        root=(sudo -n)
        sudo -n true 2>/dev/null || {
            echo "run this first: sudo apt-get install ${missing[*]}" >&2
            return 1
        }
    fi
    echo "installing ${missing[*]}"
    local -a apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o "Dpkg::Use-Pty=0")
    # the lists may be absent (a fresh system) or too old
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return 0
    "${apt[@]}" update &&
        "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
}
