// SPDX-License-Identifier: Apache-2.0
// Where the parts of an upload begin and end; see plan.h.
#include "net/plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The first tier is this many times as long as the others. */
enum { FIRST_TIER = 4 };

/* One tier of the rule: `parts` parts of `size` bytes, the last tier without end. */
struct tier {
    uint64_t size;
    uint64_t parts;
    bool last;
};

static struct tier tier_first(const struct plan *plan)
{
    return (struct tier){.size = plan->part_size,
                         .parts = (uint64_t)plan->tier * FIRST_TIER,
                         .last = plan->part_size >= PLAN_PART_MAX};
}

static struct tier tier_next(const struct plan *plan, struct tier t)
{
    t.size = t.size > PLAN_PART_MAX / 2 ? PLAN_PART_MAX : t.size * 2;
    t.parts = plan->tier;
    t.last = t.size == PLAN_PART_MAX;
    return t;
}

/* Bytes in the first n parts of the rule. */
static uint64_t rule_sum(const struct plan *plan, uint64_t n)
{
    uint64_t sum = 0;
    for (struct tier t = tier_first(plan);; t = tier_next(plan, t)) {
        uint64_t take = t.last || n < t.parts ? n : t.parts;
        sum += take * t.size;
        n -= take;
        if (n == 0)
            return sum;
    }
}

/* The number of whole parts of the rule in the first `bytes` bytes. */
static uint64_t rule_count(const struct plan *plan, uint64_t bytes)
{
    uint64_t n = 0;
    for (struct tier t = tier_first(plan);; t = tier_next(plan, t)) {
        uint64_t fit = bytes / t.size;
        if (t.last || fit < t.parts)
            return n + fit;
        n += t.parts;
        bytes -= t.parts * t.size;
    }
}

/* The largest tier length for which 10,000 parts reach the target; 0 if none does. */
static uint32_t find_tier(const struct plan *plan)
{
    struct plan trial = *plan;
    uint32_t low = 0, high = PLAN_PARTS_MAX; /* low reaches (or is 0), high + 1 does not */
    while (low < high) {
        trial.tier = low + (high - low + 1) / 2;
        if (rule_sum(&trial, PLAN_PARTS_MAX) >= plan->reach)
            low = trial.tier;
        else
            high = trial.tier - 1;
    }
    return low;
}

int plan_init(struct plan *plan, enum obs_dialect dialect, uint64_t part_size, uint64_t reach,
              struct err *err)
{
    bool s3 = dialect == OBS_DIALECT_S3;
    *plan = (struct plan){
        .part_size = part_size ? part_size : PLAN_PART_SIZE_DEFAULT,
        .min_part = s3 ? PLAN_PART_MIN_S3 : PLAN_PART_MIN_OBS,
        .reach = reach ? reach
                 : s3  ? PLAN_REACH_S3
                       : PLAN_REACH_OBS,
    };
    if (plan->part_size < plan->min_part || plan->part_size > PLAN_PART_MAX)
        return err_set(err, -EINVAL, "the part size must be from %llu KiB to 5 GiB, not %llu bytes",
                       (unsigned long long)(plan->min_part >> 10),
                       (unsigned long long)plan->part_size);
    plan->tier = find_tier(plan);
    if (plan->tier == 0)
        return err_set(err, -EINVAL, "%d parts cannot hold a file of %llu bytes", PLAN_PARTS_MAX,
                       (unsigned long long)plan->reach);
    return 0;
}

void plan_done(struct plan *plan)
{
    free(plan->marks);
    *plan = (struct plan){0};
}

int plan_copy(struct plan *to, const struct plan *from)
{
    struct plan copy = *from;
    copy.marks = NULL;
    copy.cap_marks = from->n_marks;
    if (from->n_marks) {
        copy.marks = malloc(from->n_marks * sizeof(*copy.marks));
        if (!copy.marks)
            return -ENOMEM;
        memcpy(copy.marks, from->marks, from->n_marks * sizeof(*copy.marks));
    }
    plan_done(to);
    *to = copy;
    return 0;
}

/* The number of marks whose part number is less than part_no. */
static uint32_t marks_before_part(const struct plan *plan, uint32_t part_no)
{
    uint32_t low = 0, high = plan->n_marks;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (plan->marks[mid].part_no < part_no)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The number of marks whose end is at or before `off`. */
static uint32_t marks_before_offset(const struct plan *plan, uint64_t off)
{
    uint32_t low = 0, high = plan->n_marks;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (plan->marks[mid].end <= off)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The mark that the n-th counts from; before the first one, the beginning of the file. */
static struct plan_mark base_mark(const struct plan *plan, uint32_t n)
{
    return n ? plan->marks[n - 1] : (struct plan_mark){0};
}

/* Where the part after `base` that has number part_no + 1 begins. */
static uint64_t end_after(const struct plan *plan, struct plan_mark base, uint32_t part_no)
{
    return base.end + rule_sum(plan, part_no) - rule_sum(plan, base.part_no);
}

int plan_part(const struct plan *plan, uint32_t part_no, uint64_t *ret_off, uint64_t *ret_size)
{
    if (part_no < 1 || part_no > PLAN_PARTS_MAX)
        return -EINVAL;

    uint32_t n = marks_before_part(plan, part_no);
    struct plan_mark base = base_mark(plan, n);
    uint64_t off = end_after(plan, base, part_no - 1);
    uint64_t end = n < plan->n_marks && plan->marks[n].part_no == part_no
                       ? plan->marks[n].end
                       : end_after(plan, base, part_no);
    *ret_off = off;
    *ret_size = end - off;
    return 0;
}

int plan_find(const struct plan *plan, uint64_t off, uint32_t *ret_part_no, uint64_t *ret_off,
              uint64_t *ret_size)
{
    if (off >= plan_capacity(plan))
        return -EFBIG;

    uint32_t n = marks_before_offset(plan, off);
    struct plan_mark base = base_mark(plan, n);
    uint64_t whole = rule_count(plan, off - base.end + rule_sum(plan, base.part_no));
    uint32_t part_no = (uint32_t)whole + 1;
    /* A part that a mark makes longer holds what the rule would give to the next ones. */
    if (n < plan->n_marks && part_no > plan->marks[n].part_no)
        part_no = plan->marks[n].part_no;

    uint64_t begin, size;
    (void)plan_part(plan, part_no, &begin, &size);
    if (ret_part_no)
        *ret_part_no = part_no;
    if (ret_off)
        *ret_off = begin;
    if (ret_size)
        *ret_size = size;
    return 0;
}

int plan_count(const struct plan *plan, uint64_t size, uint32_t *ret_count)
{
    if (size == 0) {
        *ret_count = 1;
        return 0;
    }
    return plan_find(plan, size - 1, ret_count, NULL, NULL);
}

uint64_t plan_capacity(const struct plan *plan)
{
    return end_after(plan, base_mark(plan, plan->n_marks), PLAN_PARTS_MAX);
}

/* Adds a mark behind the others, without any check of its own. */
static int push_mark(struct plan *plan, uint32_t part_no, uint64_t end)
{
    if (plan->n_marks == plan->cap_marks) {
        uint32_t cap = plan->cap_marks ? plan->cap_marks * 2 : 4;
        struct plan_mark *marks = reallocarray(plan->marks, cap, sizeof(*marks));
        if (!marks)
            return -ENOMEM;
        plan->marks = marks;
        plan->cap_marks = cap;
    }
    plan->marks[plan->n_marks++] = (struct plan_mark){.part_no = part_no, .end = end};
    return 0;
}

int plan_mark(struct plan *plan, uint32_t part_no, uint64_t end)
{
    uint64_t off, size;
    if (plan_part(plan, part_no, &off, &size) < 0)
        return -EINVAL;
    if (end == off + size)
        return 0;
    if (end < off || end - off < plan->min_part || end - off > PLAN_PART_MAX)
        return -EINVAL;

    uint32_t n = marks_before_part(plan, part_no);
    if (n + 1 == plan->n_marks && plan->marks[n].part_no == part_no) {
        plan->marks[n].end = end;
        return 0;
    }
    return n == plan->n_marks ? push_mark(plan, part_no, end) : -EINVAL;
}

int plan_set_ends(struct plan *plan, const uint64_t *ends, uint32_t n)
{
    if (n > PLAN_PARTS_MAX)
        return -EINVAL;

    struct plan next = *plan;
    next.marks = NULL;
    next.n_marks = next.cap_marks = 0;
    int rc = 0;
    uint64_t begin = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        uint64_t size = ends[i] - begin;
        bool small = size < plan->min_part && i + 1 < n;
        if (ends[i] <= begin || small || size > PLAN_PART_MAX)
            rc = -EINVAL;
        else if (ends[i] != end_after(&next, base_mark(&next, next.n_marks), i + 1))
            rc = push_mark(&next, i + 1, ends[i]);
        begin = ends[i];
    }
    if (rc < 0) {
        free(next.marks);
        return rc;
    }
    free(plan->marks);
    *plan = next;
    return 0;
}
