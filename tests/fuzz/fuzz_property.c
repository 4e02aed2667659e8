// SPDX-License-Identifier: Apache-2.0
// What an object says of its properties, and what a user sets. Input: a name, a newline, the rest.
#include "fs/property.h"
#include "tests/fuzz/fuzz.h"

static void check_set(const struct obs_props *set)
{
    struct obs_props again = {0}, headers = {0};
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
    CLEANUP_BUF struct buf second = BUF_INIT(1 << 20);
    FUZZ_CHECK(property_encode(set, &text) == 0);
    FUZZ_CHECK(property_decode(&again, buf_str(&text)) == 0);
    FUZZ_CHECK(again.n == set->n);
    FUZZ_CHECK(property_encode(&again, &second) == 0);
    FUZZ_CHECK(strcmp(buf_str(&text), buf_str(&second)) == 0);
    for (size_t i = 0; i < set->n; i++) {
        FUZZ_CHECK(property_find(set->v[i].name));
        (void)property_to_header(set->v[i].name, set->v[i].value, &headers);
    }
    for (size_t i = 0; i < headers.n; i++)
        if (headers.v[i].kind != OBS_PROP_META)
            fuzz_check_line(headers.v[i].value);
    obs_props_clear(&headers);
    obs_props_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct obs_props set = {0};
    struct err err = {0};
    char *text = fuzz_string(data, size);
    if (property_decode(&set, text) == 0)
        check_set(&set);
    obs_props_clear(&set);

    char *value = strchr(text, '\n');
    if (value) {
        *value++ = 0;
        size_t n = size - (size_t)(value - text);
        int rc = property_set(&set, text, value, n, &err);
        FUZZ_CHECK(rc == 0 || err.msg[0]);
        if (rc == 0 && set.n)
            check_set(&set);
    }
    obs_props_clear(&set);
    free(text);
    return 0;
}
