// SPDX-License-Identifier: Apache-2.0
// Encryption: the words of a user, and the content of key files.
#include <errno.h>

#include "net/sse.h"
#include "tests/fuzz/fuzz.h"

static void check_word(const char *text)
{
    struct sse_spec spec;
    struct err err = {0};
    struct obs_props props = {0};
    char again[SSE_TEXT_MAX];

    int rc = sse_spec_parse(text, &spec, &err);
    if (rc < 0) {
        FUZZ_CHECK(rc == -EINVAL && err.msg[0]);
        return;
    }
    FUZZ_CHECK(strlen(text) < SSE_TEXT_MAX);
    if (spec.kind == SSE_CUSTOMER)
        FUZZ_CHECK(!strchr(spec.id, '/') && spec.id[0] != '.');
    rc = sse_to_props(&spec, NULL, &props, &err);
    FUZZ_CHECK(rc == (spec.kind == SSE_CUSTOMER ? -ENOENT : 0));
    if (rc == 0) {
        sse_to_text(&props, NULL, again);
        FUZZ_CHECK(strcmp(again, text) == 0);
    }
    obs_props_clear(&props);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char wiped[SSE_KEY_SIZE];
    unsigned char key[SSE_KEY_SIZE];
    char text[512];

    int rc = sse_key_parse(data, size, key);
    if (rc < 0)
        FUZZ_CHECK(memcmp(key, wiped, sizeof(key)) == 0);
    else
        FUZZ_CHECK(size >= SSE_KEY_SIZE && size < SSE_KEY_TEXT + 2);
    if (size >= sizeof(text))
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    check_word(text);
    return 0;
}
