// SPDX-License-Identifier: Apache-2.0
// The list of uploads as another process sees it; see control_rows.h.
#include "fs/control_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/cleanup.h"

enum { BAR = 10 };

static int64_t number_of(const json_t *row, const char *name)
{
    const json_t *v = json_object_get(row, name);
    json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;
    return n < 0 ? -1 : (int64_t)n;
}

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

/* Nothing that a terminal would take for a command. */
static void clean(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

static char *clean_copy(const char *text)
{
    char *copy = strdup(text);
    if (copy)
        clean(copy);
    return copy;
}

static char *error_of(const json_t *error)
{
    CLEANUP_BUF struct buf text = BUF_INIT(4096);
    const char *code = text_of(error, "error_code");
    if (!json_is_object(error))
        return strdup("");
    (void)buf_addf(&text, "%.64s%s%.128s: %.1024s", text_of(error, "errno"), *code ? " " : "", code,
                   text_of(error, "error_msg"));
    return clean_copy(buf_str(&text));
}

static int add_up(int64_t a, int64_t b, int64_t *ret)
{
    return __builtin_add_overflow(a > 0 ? a : 0, b > 0 ? b : 0, ret) ? -EBADMSG : 0;
}

static int take_row(const json_t *from, struct row *row)
{
    if (!json_is_object(from))
        return -EBADMSG;
    row->id = number_of(from, "id");
    row->total = number_of(from, "bytes_total");
    row->rate = number_of(from, "rate");
    row->eta_s = number_of(from, "eta");
    (void)snprintf(row->state, sizeof(row->state), "%s", text_of(from, "state"));
    clean(row->state);
    row->path = clean_copy(text_of(from, "path"));
    row->error = error_of(json_object_get(from, "error"));
    if (!row->path || !row->error)
        return -ENOMEM;
    return add_up(number_of(from, "bytes_done"), number_of(from, "bytes_sending"), &row->here);
}

int rows_parse(const char *text, size_t n, struct rows *ret)
{
    *ret = (struct rows){0};
    json_t *all = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(all, "uploads");
    size_t count = json_array_size(list);
    int rc = json_is_array(list) && count <= ROWS_MAX ? 0 : -EBADMSG;
    if (rc == 0 && count && !(ret->v = calloc(count, sizeof(*ret->v))))
        rc = -ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = take_row(json_array_get(list, i), &ret->v[ret->n++]);
    json_decref(all);
    if (rc < 0)
        rows_done(ret);
    return rc;
}

void rows_done(struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        free(rows->v[i].path);
        free(rows->v[i].error);
    }
    free(rows->v);
    *rows = (struct rows){0};
}

bool row_moves(const struct row *row)
{
    return strcmp(row->state, "failed") != 0 && strcmp(row->state, "interrupted") != 0 &&
           strcmp(row->state, "paused") != 0;
}

int rows_size(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    size_t unit = 0;
    if (bytes < 1024)
        return buf_addf(out, "%u B", (unsigned)bytes);
    for (n /= 1024; n >= 1024 && unit < 3; unit++)
        n /= 1024;
    return buf_addf(out, "%.1f %s", n, units[unit]);
}

/* 0 to 100, -1: nobody knows yet. */
static int percent_of(const struct row *row)
{
    if (row->total < 0)
        return -1;
    if (row->here >= row->total)
        return 100;
    return (int)((double)row->here / (double)row->total * 100);
}

static void add_percent(const struct row *row, struct buf *out)
{
    int percent = percent_of(row);
    if (percent < 0)
        (void)buf_adds(out, "  -%");
    else
        (void)buf_addf(out, "%3d%%", percent);
}

static void add_eta(int64_t s, struct buf *out)
{
    if (s < 0)
        (void)buf_adds(out, "-");
    else if (s < 3600)
        (void)buf_addf(out, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
    else
        (void)buf_addf(out, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60, s % 60);
}

/* The numbers as words. */
struct words {
    char here[24], total[24], rate[24], eta[24];
};

static void put(char out[24], struct buf *text)
{
    (void)snprintf(out, 24, "%s", buf_str(text));
    buf_reset(text);
}

static struct words words_of(const struct row *row)
{
    CLEANUP_BUF struct buf text = BUF_INIT(64);
    struct words w = {.total = "-", .rate = "-"};
    (void)rows_size(&text, (uint64_t)row->here);
    put(w.here, &text);
    if (row->total >= 0) {
        (void)rows_size(&text, (uint64_t)row->total);
        put(w.total, &text);
    }
    if (row->rate >= 0) {
        (void)rows_size(&text, (uint64_t)row->rate);
        put(w.rate, &text);
    }
    add_eta(row->eta_s, &text);
    put(w.eta, &text);
    return w;
}

static void add_error(const struct row *row, struct buf *out)
{
    if (row->error[0])
        (void)buf_addf(out, "  (%s)", row->error);
}

int row_plain(const struct row *row, struct buf *out)
{
    struct words w = words_of(row);
    add_percent(row, out);
    (void)buf_addf(out, "  %s of %s  %s/s  ETA %s  %s  %s", w.here, w.total, w.rate, w.eta,
                   row->state, row->path);
    add_error(row, out);
    return out->eno;
}

/* Never in the middle of a character. */
static size_t cut_at(const char *text, size_t n, size_t width)
{
    if (n <= width)
        return n;
    while (width > 0 && ((unsigned char)text[width] & 0xc0) == 0x80)
        width--;
    return width;
}

int row_bar(const struct row *row, size_t width, struct buf *out)
{
    CLEANUP_BUF struct buf line = BUF_INIT(1 << 16);
    int percent = percent_of(row);
    int full = percent < 0 ? 0 : percent * BAR / 100;
    (void)buf_addc(&line, '[');
    for (int i = 0; i < BAR; i++)
        (void)buf_addc(&line, i < full ? '#' : '.');
    (void)buf_adds(&line, "] ");
    add_percent(row, &line);
    struct words w = words_of(row);
    (void)buf_addf(&line, " %10s/%-10s %10s/s %7s %s", w.here, w.total, w.rate, w.eta, row->path);
    if (strcmp(row->state, "uploading") != 0)
        (void)buf_addf(&line, " (%s)", row->state);
    add_error(row, &line);
    if (line.eno < 0 && line.eno != -EMSGSIZE)
        return line.eno;
    return buf_add(out, buf_str(&line), cut_at(buf_str(&line), line.n, width));
}
