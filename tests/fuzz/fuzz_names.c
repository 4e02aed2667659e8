// SPDX-License-Identifier: Apache-2.0
// Keys of a bucket, names in the mount, temporary names. Input: one key, or "PATTERNS newline name".
#include "fs/names.h"
#include "fs/tempname.h"
#include "tests/fuzz/fuzz.h"

static void check_key(const char *key)
{
    size_t n = strlen(key);
    struct names_key k;
    char back[OBS_KEY_MAX + 1];
    bool ok = names_key_ok(key, n);
    FUZZ_CHECK(ok == (names_split(key, n, &k) == 0));
    if (ok) {
        FUZZ_CHECK(k.parent_len + k.name_len + k.is_dir == n && k.name_len > 0);
        FUZZ_CHECK(k.name_len <= NAMES_COMPONENT_MAX && !memchr(k.name, '/', k.name_len));
        FUZZ_CHECK(names_component_ok(k.name, k.name_len));
        char *path = strndup(key, n - k.is_dir);
        FUZZ_CHECK(path);
        if (names_make_key("", path, k.is_dir, back) == 0)
            FUZZ_CHECK(strcmp(back, key) == 0);
        free(path);
    }
    if (names_check(key, n) == 0)
        FUZZ_CHECK(ok && names_utf8(key, n) && !strchr(key, '/'));
    if (names_child("", key, &k) == 0)
        FUZZ_CHECK(k.name_len > 0 && k.name_len <= NAMES_COMPONENT_MAX);
    FUZZ_CHECK(names_ino(key) > 1);
}

static void check_prefix(const char *text)
{
    char *prefix = NULL, *again = NULL;
    struct err err;
    if (names_prefix(text, &prefix, &err) == 0) {
        FUZZ_CHECK(names_prefix(prefix, &again, &err) == 0 && strcmp(prefix, again) == 0);
        FUZZ_CHECK(!*prefix || names_key_ok(prefix, strlen(prefix)));
    }
    free(again);
    free(prefix);
}

static void check_temp(const char *patterns_text, const char *name)
{
    struct tempname_patterns patterns = {0};
    struct temp_guess guess;
    struct err err;
    (void)tempname_patterns_parse(patterns_text, &patterns, &err);
    FUZZ_CHECK(patterns.n <= TEMP_PATTERNS_MAX);
    for (int like = 0; like < 2; like++) {
        enum temp_kind kind = tempname_classify(name, like, &patterns, &guess);
        FUZZ_CHECK(guess.n_finals <= TEMP_FINALS_MAX && (kind == TEMP_RSYNC || !guess.n_finals));
        for (unsigned i = 0; i < guess.n_finals; i++)
            FUZZ_CHECK(guess.finals[i][0] && strlen(guess.finals[i]) < strlen(name));
    }
    tempname_patterns_done(&patterns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);
    (void)names_utf8((const char *)data, size);
    check_key(text);
    check_prefix(text);
    char *name = strchr(text, '\n');
    if (name)
        *name++ = 0;
    check_temp(text, name ? name : text);
    free(text);
    return 0;
}
