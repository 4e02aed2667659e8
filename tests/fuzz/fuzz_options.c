// SPDX-License-Identifier: Apache-2.0
// The words of -o, the source, and numbers with units. Input: options, a newline, a source.
#include <unistd.h>

#include "fs/options.h"
#include "tests/fuzz/fuzz.h"

// What is in effect can be given again, and then the same is in effect.
static void check_again(const struct options *opt)
{
    struct options again;
    struct err err;
    CLEANUP_BUF struct buf first = BUF_INIT(1 << 20);
    CLEANUP_BUF struct buf second = BUF_INIT(1 << 20);
    CLEANUP_BUF struct buf word = BUF_INIT(1 << 20);
    FUZZ_CHECK(options_dump(opt, &first) == 0);
    FUZZ_CHECK(options_init(&again) == 0);
    for (char *line = first.p ? strdup(buf_str(&first)) : NULL, *at = line; at;) {
        char *end = strchr(at, '\n');
        if (end)
            *end = 0;
        // Several values of one name, and secrets, stand in one line: those are not given again.
        bool plain = strncmp(at, "meta=", 5) != 0 && strncmp(at, "header=", 7) != 0;
        const char *value = strchr(at, '=');
        buf_reset(&word);
        for (const char *p = at; plain && value && value[1] && *p; p++) {
            if (*p == ',' || *p == '\\')
                FUZZ_CHECK(buf_addc(&word, '\\') == 0);
            FUZZ_CHECK(buf_addc(&word, *p) == 0);
        }
        if (word.n)
            FUZZ_CHECK(options_parse(&again, buf_str(&word), false, &err) == 0);
        at = end && end[1] ? end + 1 : NULL;
        if (!at)
            free(line);
    }
    FUZZ_CHECK(again.part_size == opt->part_size && again.meta_ttl == opt->meta_ttl);
    FUZZ_CHECK(again.umask == opt->umask && again.dialect == opt->dialect);
    FUZZ_CHECK(options_dump(&again, &second) == 0);
    options_done(&again);
}

static void check_numbers(const char *text)
{
    uint64_t bytes;
    int64_t ms;
    if (option_parse_size(text, &bytes) == 0)
        FUZZ_CHECK(text[0] >= '0' && text[0] <= '9');
    if (option_parse_time(text, &ms) == 0)
        FUZZ_CHECK(ms >= 0);
    const char *near = option_nearest(text);
    FUZZ_CHECK(!near || *near);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options opt;
    struct err err = {0};
    char *text = fuzz_string(data, size);
    char *source = strchr(text, '\n');
    if (source)
        *source++ = 0;

    for (int sloppy = 0; sloppy < 2; sloppy++) {
        FUZZ_CHECK(options_init(&opt) == 0);
        int rc = options_parse(&opt, text, sloppy, &err);
        FUZZ_CHECK(rc == 0 || err.msg[0]);
        if (source && options_set_source(&opt, source, &err) == 0) {
            FUZZ_CHECK(strlen(opt.bucket) >= 3 && opt.prefix);
            size_t n = strlen(opt.prefix);
            FUZZ_CHECK(n == 0 || opt.prefix[n - 1] == '/');
        }
        if (rc == 0 && !sloppy)
            check_again(&opt);
        char *words = rc == 0 && opt.source ? options_fuse_words(&opt) : NULL;
        free(words);
        options_done(&opt);
    }
    check_numbers(text);
    free(text);
    return 0;
}
