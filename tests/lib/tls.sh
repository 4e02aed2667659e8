# SPDX-License-Identifier: Apache-2.0
# tls.sh - the local service over https, and customers' keys; sourced by scripts that use tests/mount/lib.sh.

# obs-local over https, and two keys: "a" raw, "b" in base64.
begin_tls() { # [ARG...] of the service
    command -v openssl >/dev/null || skip "openssl is not installed"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=localhost" \
        -addext "subjectAltName=DNS:localhost,DNS:bkt.localhost,IP:127.0.0.1" \
        -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null || fail "openssl"
    export OBS_CA=$T/cert.pem
    service_start --tls "$T/cert.pem" "$T/key.pem" "$@"
    make_keys "$T/sse"
}

make_keys() { # DIR
    (umask 077 && mkdir -p "$1" && head -c 32 /dev/urandom >"$1/a" && head -c 32 /dev/urandom >"$T/raw_b" &&
        base64 -w 0 "$T/raw_b" >"$1/b")
}

tls_options() {
    local host=localhost
    [ "$dialect" = obs ] || host=127.0.0.1
    echo "endpoint=https://$host:$OBS_PORT,ca_file=$T/cert.pem"
}

tls_mount() { mounted_with "$(tls_options)${1:+,$1}"; }
