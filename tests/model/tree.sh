#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tree.sh - random operations on the mount and on a local directory side by side (model.py).
#
#   tests/model/tree.sh CASE [obs|s3]    OBSM_SEED: another run (0: any); OBSM_OPS: so many operations;
#   OBSM_LOGS=DIR keeps the logs of a failure

# seconds, below the time that ctest gives
case ${1:-} in
*_long) CASE_LIMIT=10780 options=log_level=notice, ;;
*)
    CASE_LIMIT=480 options=
    # the same operations each time: what another seed finds is news of the code, not of a change to it
    export OBSM_SEED=${OBSM_SEED:-20261128}
    ;;
esac

model() { # OPS [OPTION]...
    local ops=$1 line
    shift
    mkdir "$T/local"
    coproc MODEL { OBS_PORT=$OBS_PORT OBS_KEYS=$T/keys run_limited "$CASE_LIMIT" \
        python3 -B "$top/tests/model/model.py" -n "${OBSM_OPS:-$ops}" "$@" "$M" "$T/local" 2>"$T/model.out"; }
    local pid=$MODEL_PID to=${MODEL[1]} from=${MODEL[0]}
    while read -r line <&"$from"; do
        case $line in
        unmount) leave ;;
        kill) kill_driver ;;
        mount) mounted_with "$options" ;;
        *) fail "the model says '$line'" ;;
        esac
        echo done >&"$to"
    done
    wait "$pid" || {
        cat "$T/model.out" >&2
        [ -z "${OBSM_LOGS:-}" ] || cp "$T"/*.log "$OBSM_LOGS"
        fail "model"
    }
    cat "$T/model.out"
}

mounted() {
    [ "$dialect" = s3 ] || part_size=102400
    options=${options}meta_ttl=200ms,open_ttl=0,hold_max=1s,keep_interrupted=0
    service_start
    mounted_with "$options"
}

tx_random() { # timeout=500
    mounted
    model 5000 -r 500 -k 900
}

tx_random_long() { # long timeout=10800
    mounted
    model 100000 -r 5000 -k 1500
}

. "$(dirname "${BASH_SOURCE[0]}")/../mount/lib.sh"
