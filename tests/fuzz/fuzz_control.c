// SPDX-License-Identifier: Apache-2.0
/* What is written to control files: the text in pieces, and the paths in it. Input: u8 flags (bit 0:
 * an append handle), then pieces of u16 length and bytes. */
#include "fs/control_input.h"
#include "fs/control_path.h"
#include "fs/options.h"
#include "tests/fuzz/fuzz.h"

static void check_path(const char *text)
{
    struct options opt = {.mountpoint = "/mnt/obs"};
    struct fs fs = {.opt = &opt};
    struct err err;
    char out[OBS_KEY_MAX + 1], again[OBS_KEY_MAX + 1];
    if (control_path_clean(&fs, text, out, &err) < 0)
        return;
    FUZZ_CHECK(strlen(out) <= OBS_KEY_MAX && out[0] != '/' && !strstr(out, "//"));
    FUZZ_CHECK(strcmp(out, "..") != 0 && strncmp(out, "../", 3) != 0 && !strstr(out, "/../"));
    FUZZ_CHECK(control_path_clean(&fs, out, again, &err) == 0 && strcmp(out, again) == 0);
}

static void check_text(const struct buf *text)
{
    char *lines = strdup(buf_str(text));
    FUZZ_CHECK(lines);
    char *rest = lines;
    for (char *line; (line = strsep(&rest, "\n"));)
        check_path(line);
    free(lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control_input in;
    uint64_t off = 0;
    size_t taken = 0, given = 0;
    if (size == 0)
        return 0;
    control_input_init(&in, data[0] & 1);
    FUZZ_CHECK(control_input_json_end((const char *)data, size) <= size);
    for (size_t at = 1; size - at >= 2;) {
        struct buf text = BUF_INIT(2 * CONTROL_TEXT_MAX);
        size_t n = data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        if (n > size - at)
            n = size - at;
        bool dropped = false;
        int rc = control_input_take(&in, off, data + at, n, &text, &dropped);
        FUZZ_CHECK(rc <= 1);
        given += n;
        if (rc == 1) {
            FUZZ_CHECK(text.n > 0 && text.n <= CONTROL_TEXT_MAX);
            taken += text.n;
            check_text(&text);
            // Every third command fails: its repetition then has the same errno.
            int result = n % 3 == 0 ? -22 : 0;
            control_input_result(&in, off, data + at, n, result);
            if (result && !(data[0] & 1)) {
                buf_reset(&text);
                FUZZ_CHECK(control_input_take(&in, off, data + at, n, &text, NULL) == -22);
            }
        }
        FUZZ_CHECK(taken <= given);
        FUZZ_CHECK(in.kept.n <= CONTROL_TEXT_MAX);
        off += n;
        at += n;
        buf_done(&text);
    }
    (void)control_input_incomplete(&in);
    control_input_done(&in);
    return 0;
}
