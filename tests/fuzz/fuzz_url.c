// SPDX-License-Identifier: Apache-2.0
// Encoding and endpoints, metadata values.
#include "net/digest.h"
#include "net/props.h"
#include "net/url.h"
#include "tests/fuzz/fuzz.h"

static void round_trip(const uint8_t *data, size_t size, enum url_set set)
{
    CLEANUP_BUF struct buf text = BUF_INIT(3 * size);
    CLEANUP_BUF struct buf back = BUF_INIT(size);
    FUZZ_CHECK(url_encode(&text, data, size, set) == 0);
    fuzz_check_line(buf_str(&text));
    FUZZ_CHECK(url_decode(&back, buf_str(&text), text.n, true) == 0);
    FUZZ_CHECK(back.n == size && memcmp(buf_str(&back), data, size) == 0);
}

static void meta_round_trip(const char *text)
{
    CLEANUP_BUF struct buf wire = BUF_INIT(3 * strlen(text) + 1);
    CLEANUP_BUF struct buf back = BUF_INIT(strlen(text) + 1);
    FUZZ_CHECK(props_encode_value(&wire, text) == 0);
    fuzz_check_line(buf_str(&wire));
    FUZZ_CHECK(props_decode_value(&back, buf_str(&wire)) == 0);
    FUZZ_CHECK(strcmp(buf_str(&back), text) == 0);
    buf_reset(&back);
    FUZZ_CHECK(props_decode_value(&back, text) == 0);
}

static void endpoints(const char *text)
{
    struct url_endpoint ep, again;
    struct err err;
    const char *target;
    char host[URL_HOST_MAX + 16];
    char url[URL_HOST_MAX + 32];

    if (url_endpoint_parse(text, &ep, &err) == 0) {
        FUZZ_CHECK(ep.port > 0);
        FUZZ_CHECK(url_host(&ep, NULL, host, sizeof(host)) == 0);
        fuzz_check_line(host);
        (void)snprintf(url, sizeof(url), "%s://%s", url_scheme(&ep), host);
        FUZZ_CHECK(url_endpoint_parse(url, &again, &err) == 0);
        FUZZ_CHECK(again.port == ep.port && strcmp(again.host, ep.host) == 0);
        FUZZ_CHECK(again.tls == ep.tls && again.ip == ep.ip);
    }
    if (url_parse(text, &ep, &target, &err) == 0)
        FUZZ_CHECK(target >= text && target <= text + strlen(text));
    if (url_bucket_check(text, &err) == 0)
        FUZZ_CHECK(strlen(text) >= 3 && strlen(text) <= 63);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_BUF struct buf out = BUF_INIT(size);
    unsigned char raw[256];
    char etag[64];

    char *text = fuzz_string(data, size);
    round_trip(data, size, URL_KEY);
    round_trip(data, size, URL_VALUE);
    (void)url_decode(&out, text, size, false);
    meta_round_trip(text);
    endpoints(text);
    (void)base64_decode(text, raw, sizeof(raw));
    (void)hex_decode(text, raw, sizeof(raw));
    (void)etag_md5(text, raw);
    (void)etag_is_composite(text);
    if (etag_clean(text, etag, sizeof(etag)) == 0 && etag[0])
        FUZZ_CHECK(etag_equal(text, text));
    free(text);
    return 0;
}
