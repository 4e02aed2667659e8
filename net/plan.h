// SPDX-License-Identifier: Apache-2.0
/* plan - where the parts of an upload begin and end
 *
 * Role        A pure function from part number to byte range and back, for files whose final size
 *             nobody knows while they are written.
 * Rule        Part sizes depend on the part number only: the first 4 T parts have part_size, the
 *             next T twice that, the next T four times, and so on up to the largest part that the
 *             service takes. T is the largest number for which 10,000 parts reach `reach` bytes.
 *             part_size, dialect and reach therefore fix the whole plan.
 * Limits      OBS: parts 100 KiB to 5 GiB; S3: 5 MiB to 5 GiB; 10,000 parts in both. The service's
 *             largest OBS object is 10,000 parts of 5 GiB (48.8 TiB); a plan with smaller parts at
 *             its beginning cannot reach all of that, so the default reach is 48.8 * 10^12 bytes.
 *             S3: 5 TiB.
 * Marks       A part may end elsewhere than the rule says (sealed short, or taken from an older
 *             upload): plan_mark() records it, and the rule goes on behind it with the next part
 *             number.
 * Ownership   plan_init() .. plan_done(); the marks are on the heap.
 */
#ifndef OBSM_NET_PLAN_H
#define OBSM_NET_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "net/base/err.h"
#include "net/obs.h"

#define PLAN_PART_SIZE_DEFAULT ((uint64_t)9 << 20)
#define PLAN_PART_MAX ((uint64_t)5 << 30)
#define PLAN_PART_MIN_OBS ((uint64_t)100 << 10)
#define PLAN_PART_MIN_S3 ((uint64_t)5 << 20)
#define PLAN_REACH_OBS ((uint64_t)48800 * 1000 * 1000 * 1000)
#define PLAN_REACH_S3 ((uint64_t)5 << 40)
enum { PLAN_PARTS_MAX = 10000 };

/* A part that ends where the rule would not end it. */
struct plan_mark {
    uint32_t part_no;
    uint64_t end;
};

struct plan {
    uint64_t part_size;
    uint64_t min_part;       /* of all parts but the last */
    uint64_t reach;          /* the largest file */
    uint32_t tier;           /* T of the rule */
    struct plan_mark *marks; /* ascending */
    uint32_t n_marks, cap_marks;
};

/* part_size 0: the default; reach 0: the dialect's. -EINVAL with a reason for sizes outside the
 * limits of the dialect, or a reach that 10,000 parts cannot have. */
int plan_init(struct plan *plan, enum obs_dialect dialect, uint64_t part_size, uint64_t reach,
              struct err *err);
void plan_done(struct plan *plan);
/* Replaces *to (which is initialised or zero). -ENOMEM. */
int plan_copy(struct plan *to, const struct plan *from);

/* The full range of a part, not cut at the end of the file. -EINVAL for a number outside 1 to
 * 10,000. */
int plan_part(const struct plan *plan, uint32_t part_no, uint64_t *ret_off, uint64_t *ret_size);

/* The part that holds the byte at `off`, and its range (outputs may be NULL). -EFBIG if no part
 * does. */
int plan_find(const struct plan *plan, uint64_t off, uint32_t *ret_part_no, uint64_t *ret_off,
              uint64_t *ret_size);

/* The number of parts of a file of `size` bytes; 1 for an empty one. -EFBIG. */
int plan_count(const struct plan *plan, uint64_t size, uint32_t *ret_count);

/* The largest file that still fits, given the marks. */
uint64_t plan_capacity(const struct plan *plan);

/* From now on part part_no ends at `end`. It must not lie before an existing mark of another part.
 * -EINVAL if it does, or if the part would be smaller than min_part or larger than PLAN_PART_MAX;
 * -ENOMEM. An end that is the rule's own removes nothing and records nothing. */
int plan_mark(struct plan *plan, uint32_t part_no, uint64_t end);

/* Marks taken from the actual ends of parts 1 to n (an earlier upload); replaces all marks. The
 * last one may be smaller than min_part only if the file ends there. -EINVAL, -ENOMEM. */
int plan_set_ends(struct plan *plan, const uint64_t *ends, uint32_t n);

#endif
