// SPDX-License-Identifier: Apache-2.0
// uploads.json as obsmount --uploads reads it from a mount, which anybody may have made.
#include "fs/control_rows.h"
#include "tests/fuzz/fuzz.h"

static void check_row(const struct row *row)
{
    FUZZ_CHECK(row->id >= -1 && row->total >= -1 && row->rate >= -1 && row->eta_s >= -1);
    FUZZ_CHECK(row->here >= 0 && row->path && row->error);
    FUZZ_CHECK(memchr(row->state, 0, sizeof(row->state)));
    for (size_t width = 20; width < 200; width += 59) {
        struct buf bar = BUF_INIT(4096);
        FUZZ_CHECK(row_bar(row, width, &bar) == 0);
        FUZZ_CHECK(bar.n <= width);
        fuzz_check_line(buf_str(&bar));
        buf_done(&bar);
    }
    struct buf line = BUF_INIT(1 << 20);
    (void)row_plain(row, &line);
    fuzz_check_line(buf_str(&line));
    buf_done(&line);
    (void)row_moves(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rows rows;
    if (rows_parse((const char *)data, size, &rows) == 0) {
        for (size_t i = 0; i < rows.n; i++)
            check_row(&rows.v[i]);
    } else {
        FUZZ_CHECK(!rows.n && !rows.v);
    }
    rows_done(&rows);
    return 0;
}
