// SPDX-License-Identifier: Apache-2.0
/* control_input - commands out of the pieces in which they are written
 *
 * Role        Decides which text of a write to a control file is complete and has to be executed
 *             within this write. Pure: one struct for each open handle.
 *
 * Rules       A line ends with its newline. A write of fewer than CONTROL_PIECE_MIN bytes ends its
 *             last line in any case (`printf sync > ...`); a longer one keeps an unterminated last
 *             line for the write at the next offset (programs that write through a buffer cut lines
 *             anywhere). Text that begins with '{' is kept until the brackets of the JSON value are
 *             closed. All lines that are complete in one write are one text.
 *             A write at another offset than the next one drops what was kept. A write that repeats
 *             a failed one, with the same bytes at the same offset, gets the same errno: Python
 *             writes twice when the first write fails.
 *             An append handle has no offsets: every write continues the one before.
 * Limits      CONTROL_TEXT_MAX bytes of one write, and of what is kept with what is added: -E2BIG.
 */
#ifndef OBSM_FS_CONTROL_INPUT_H
#define OBSM_FS_CONTROL_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/buf.h"

enum { CONTROL_TEXT_MAX = 64 << 10, CONTROL_PIECE_MIN = 1024 };

struct control_input {
    bool append;
    struct buf kept;   /* unterminated, or JSON that is not closed */
    struct buf failed; /* bytes of the last write, if it failed */
    uint64_t next_off; /* of a write that continues `kept` */
    uint64_t failed_off;
    int failed_eno;
};

void control_input_init(struct control_input *in, bool append);
void control_input_done(struct control_input *in);

/* Takes a write of n bytes. 1: `text` (empty before) is to be executed, and its result told by
 * control_input_result(); 0: nothing to do, the write is a success; -errno: the write fails.
 * *ret_dropped (may be NULL) is set if kept text was dropped. -E2BIG, -EINVAL (text behind the end
 * of a JSON value), -ENOMEM. */
int control_input_take(struct control_input *in, uint64_t off, const void *p, size_t n,
                       struct buf *text, bool *ret_dropped);

/* The text of this write was executed with `rc`. */
void control_input_result(struct control_input *in, uint64_t off, const void *p, size_t n, int rc);

/* True if text was kept that no write has completed. */
bool control_input_incomplete(const struct control_input *in);

/* Where the JSON value that `text` begins with ends: its length; 0 if it is not closed yet. */
size_t control_input_json_end(const char *text, size_t n);

#endif
