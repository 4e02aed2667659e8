# SPDX-License-Identifier: Apache-2.0
# lib.sh - the SDKs of Huawei Cloud for the scripts beside it; sourced.
#
#   need_sdk    sets $PYTHON to an interpreter that has them; skips the case if they cannot be installed

#   sdk_run SCRIPT ARG...  runs a Python script beside this one with them; fails the case if it fails

# A virtual environment in the build directory, made once for all cases.
need_sdk() {
    local venv=$OBSM_BUILD/tests/interop/venv
    exec 8>"$OBSM_BUILD/tests/interop/lock"
    flock 8
    if ! "$venv/bin/python" -c 'import obs, huaweicloudsdkdli' 2>/dev/null; then
        rm -rf "$venv"
        python3 -m venv "$venv" >"$T/venv.log" 2>&1 || skip "python3-venv is missing"
        run_limited 200 "$venv/bin/pip" install -q --disable-pip-version-check --timeout 20 \
            esdk-obs-python huaweicloudsdkcore huaweicloudsdkdli >"$T/pip.log" 2>&1 ||
            skip "the SDKs cannot be installed: $(tail -n 1 "$T/pip.log")"
    fi
    exec 8>&-
    PYTHON=$venv/bin/python
}

sdk_run() {
    local script=$1
    shift
    [ -n "${PYTHON:-}" ] || need_sdk
    OBS_PORT=$OBS_PORT OBS_KEYS=$T/keys PYTHONDONTWRITEBYTECODE=1 "$PYTHON" "$top/tests/interop/$script" "$@" \
        2>"$T/sdk.err" || fail "the SDK: $* ($(tail -n 5 "$T/sdk.err"))"
}
