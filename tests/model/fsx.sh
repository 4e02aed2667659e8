#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fsx.sh - random operations on the content of one file of the mount (fsx.c), with small parts, so
# that uploads of many parts, parts written again and parts copied by the server are in play.
#
#   tests/model/fsx.sh CASE [obs|s3]     OBSM_SEED: another run (0: any); OBSM_OPS: so many operations;
#   OBSM_LOGS=DIR keeps the logs of a failure

fsx() { # MODE OPS [OPTION]...
    local mode=$1 ops=$2 line
    shift 2
    coproc FSX { run_limited "$CASE_LIMIT" "$OBSM_BUILD/tests/model/fsx" -q -m "$mode" \
        -n "${OBSM_OPS:-$ops}" -p "$part_size" "$@" "$M/file" 2>"$T/fsx.out"; }
    local pid=$FSX_PID to=${FSX[1]} from=${FSX[0]}
    while read -r line <&"$from"; do
        [ "$line" = remount ] || fail "fsx says '$line'"
        remount "$options"
        echo done >&"$to"
    done
    wait "$pid" || {
        cat "$T/fsx.out" >&2
        [ -z "${OBSM_LOGS:-}" ] || cp "$T"/*.log "$OBSM_LOGS"
        fail "fsx"
    }
    cat "$T/fsx.out"
}

# seconds, below the time that ctest gives
case ${1:-} in
*_long) CASE_LIMIT=7180 options=log_level=notice ;;
*)
    CASE_LIMIT=480 options=
    export OBSM_SEED=${OBSM_SEED:-20261128} # see tree.sh
    ;;
esac

mounted() {
    [ "$dialect" = s3 ] || part_size=102400
    size=$((part_size * 30))
    [ "$dialect" = obs ] || size=$((part_size * 3))
    service_start
    mounted_with "$options"
}

tx_solo() { # s3 timeout=500
    local ops=10000
    [ "$dialect" = obs ] || ops=2000 # its parts are large
    mounted
    fsx solo "$ops" -l "$size" -r $((ops / 5))
}

tx_pair() { # timeout=500
    mounted
    fsx pair 6000 -l "$size" -r 2000
}

tx_race() { # timeout=500
    mounted
    fsx race 2000 -l "$size"
}

tx_solo_long() { # s3 long timeout=7200
    mounted
    fsx solo 200000 -l "$size" -r 20000
}

tx_pair_long() { # long timeout=7200
    mounted
    fsx pair 200000 -l "$size" -r 20000
}

tx_race_long() { # long timeout=7200
    mounted
    fsx race 100000 -l "$size"
}

. "$(dirname "${BASH_SOURCE[0]}")/../mount/lib.sh"
