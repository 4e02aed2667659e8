// SPDX-License-Identifier: Apache-2.0
// The metadata value that holds all extended attributes of a file.
#include "fs/xattr_codec.h"
#include "tests/fuzz/fuzz.h"

static void same(const struct xattr_set *a, const struct xattr_set *b)
{
    FUZZ_CHECK(a->n == b->n);
    for (size_t i = 0; i < a->n; i++) {
        FUZZ_CHECK(strcmp(a->v[i].name, b->v[i].name) == 0 && a->v[i].len == b->v[i].len);
        FUZZ_CHECK(memcmp(a->v[i].value, b->v[i].value, a->v[i].len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xattr_set set = {0}, again = {0};
    char *text = fuzz_string(data, size), *wire = NULL;
    char names[64 << 10];

    if (xattr_set_decode(&set, text) == 0) {
        ssize_t n = xattr_set_list(&set, names, sizeof(names));
        FUZZ_CHECK(n >= 0 && n == xattr_set_list(&set, NULL, 0));
        FUZZ_CHECK(xattr_set_encode(&set, &wire) == 0);
        for (const char *p = wire; *p; p++)
            FUZZ_CHECK((unsigned char)*p >= 0x20);
        FUZZ_CHECK(xattr_set_decode(&again, wire) == 0);
        same(&set, &again);
        for (size_t i = 0; i < again.n; i++)
            FUZZ_CHECK(strlen(again.v[i].name) <= XATTR_SET_NAME_MAX);
        while (again.n)
            FUZZ_CHECK(xattr_set_remove(&again, again.v[0].name) == 0);
    }
    free(wire);
    xattr_set_clear(&again);
    xattr_set_clear(&set);
    // The bytes as a value under a name, and as a name.
    if (xattr_set_put(&set, "user.a", data, size, 0) == 0)
        FUZZ_CHECK(xattr_set_get(&set, "user.a", NULL, 0) == (ssize_t)size);
    (void)xattr_set_put(&set, text, "v", 1, 0);
    xattr_set_clear(&set);
    free(text);
    return 0;
}
