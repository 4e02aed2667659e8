// SPDX-License-Identifier: Apache-2.0
// Pieces of commands; see control_input.h.
#include "fs/control_input.h"

#include <errno.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void control_input_init(struct control_input *in, bool append)
{
    *in = (struct control_input){
        .append = append, .kept = BUF_INIT(CONTROL_TEXT_MAX), .failed = BUF_INIT(CONTROL_TEXT_MAX)};
}

void control_input_done(struct control_input *in)
{
    buf_done(&in->kept);
    buf_done(&in->failed);
}

bool control_input_incomplete(const struct control_input *in)
{
    return in->kept.n > 0;
}

size_t control_input_json_end(const char *text, size_t n)
{
    size_t depth = 0;
    bool string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                string = false;
        } else if (c == '"') {
            string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && (depth == 0 || --depth == 0)) {
            return i + 1;
        }
    }
    return 0;
}

static bool repeats_failure(const struct control_input *in, uint64_t off, const void *p, size_t n)
{
    return in->failed_eno && n == in->failed.n && (in->append || off == in->failed_off) &&
           memcmp(in->failed.p, p, n) == 0;
}

/* All of it, if the value is closed. */
static int take_json(struct control_input *in, size_t start, struct buf *text)
{
    const char *p = in->kept.p + start;
    size_t n = in->kept.n - start;
    size_t end = control_input_json_end(p, n);
    if (end == 0)
        return 0;
    for (size_t i = end; i < n; i++) {
        if (!is_blank(p[i]))
            return -EINVAL;
    }
    int rc = buf_add(text, p, end);
    buf_reset(&in->kept);
    return rc < 0 ? rc : 1;
}

static int take_lines(struct control_input *in, size_t piece, struct buf *text)
{
    const char *last = memrchr(in->kept.p, '\n', in->kept.n);
    size_t complete = last ? (size_t)(last - in->kept.p) + 1 : 0;
    if (piece < CONTROL_PIECE_MIN)
        complete = in->kept.n;
    if (complete == 0)
        return 0;
    int rc = buf_add(text, in->kept.p, complete);
    memmove(in->kept.p, in->kept.p + complete, in->kept.n - complete);
    in->kept.n -= complete;
    in->kept.p[in->kept.n] = '\0';
    return rc < 0 ? rc : 1;
}

static int take(struct control_input *in, const void *p, size_t n, struct buf *text)
{
    int rc = buf_add(&in->kept, p, n);
    if (rc < 0)
        return rc == -EMSGSIZE ? -E2BIG : rc;
    in->kept.eno = 0;
    size_t start = 0;
    while (start < in->kept.n && is_blank(in->kept.p[start]))
        start++;
    if (start == in->kept.n) { /* blank lines are no command */
        buf_reset(&in->kept);
        return 0;
    }
    return in->kept.p[start] == '{' ? take_json(in, start, text) : take_lines(in, n, text);
}

int control_input_take(struct control_input *in, uint64_t off, const void *p, size_t n,
                       struct buf *text, bool *ret_dropped)
{
    if (ret_dropped)
        *ret_dropped = false;
    if (n == 0)
        return 0;
    if (n > CONTROL_TEXT_MAX)
        return -E2BIG;
    if (repeats_failure(in, off, p, n))
        return in->failed_eno;
    if (in->kept.n && !in->append && off != in->next_off) {
        buf_reset(&in->kept);
        if (ret_dropped)
            *ret_dropped = true;
    }
    in->next_off = off + n;
    int rc = take(in, p, n, text);
    if (rc <= 0)
        control_input_result(in, off, p, n, rc);
    return rc;
}

void control_input_result(struct control_input *in, uint64_t off, const void *p, size_t n, int rc)
{
    buf_reset(&in->failed);
    in->failed_eno = 0;
    if (rc >= 0)
        return;
    buf_reset(&in->kept); /* it continued what has failed */
    if (buf_add(&in->failed, p, n) == 0) {
        in->failed_eno = rc;
        in->failed_off = off;
    }
}
