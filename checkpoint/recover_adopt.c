// SPDX-License-Identifier: Apache-2.0
// Uploads that are known from the server alone; see recover.h.
#include "checkpoint/recover_impl.h"

#include <errno.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
    return a && b && *a && strcmp(a, b) == 0;
}

/* The 32 hex digits of an MD5. */
static bool read_md5(const char *etag, uint8_t md5[16])
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(etag) != 32)
        return false;
    memset(md5, 0, 16);
    for (int i = 0; i < 32; i++) {
        char c = etag[i] >= 'A' && etag[i] <= 'F' ? (char)(etag[i] - 'A' + 'a') : etag[i];
        const char *at = strchr(digits, c);
        if (!at || !c)
            return false;
        md5[i / 2] = (uint8_t)(md5[i / 2] << 4 | (at - digits));
    }
    return true;
}

static bool idle(const struct recover_adopt *a, const struct recover_listparts *list)
{
    int64_t before = a->server_s - RECOVER_ADOPT_IDLE_S;
    if (a->server_s <= 0 || a->initiated_s <= 0 || a->initiated_s >= before)
        return false;
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].modified_s <= 0 || list->v[i].modified_s >= before)
            return false;
    return true;
}

bool recover_may_adopt(const struct recover_adopt *a, const struct recover_head *head,
                       const struct recover_listparts *list)
{
    uint8_t md5[16];
    if (a->known || !same_text(a->initiator, a->own_initiator) ||
        same_text(a->upload_id, a->own_upload_id) ||
        !same_text(a->storage_class, a->own_storage_class))
        return false;
    if (list->answer != ANSWER_FOUND || list->n == 0 || list->n > RECORD_PART_MAX || !idle(a, list))
        return false;
    bool wins = head->answer == ANSWER_GONE ||
                (head->answer == ANSWER_FOUND && head->modified_s < a->initiated_s);
    if (!wins)
        return false;
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].part_no != i + 1 || list->v[i].size == 0 || !read_md5(list->v[i].etag, md5))
            return false;
    return true;
}

int recover_adopted_state(const struct recover_adopt *a, const struct recover_listparts *list,
                          struct journal_state *ret)
{
    struct record r = {.type = RECORD_OPEN, .open = {.id = 1, .key = a->key}};
    uint64_t at = 0;
    memset(ret, 0, sizeof(*ret));
    int rc = state_fold(ret, &r);
    r = (struct record){.type = RECORD_INITIATED,
                        .initiated = {.key = a->key,
                                      .upload_id = a->upload_id,
                                      .part_size = list->n ? list->v[0].size : 0,
                                      .server_s = a->initiated_s,
                                      .adopted = true}};
    if (rc == 0)
        rc = state_fold(ret, &r);
    for (size_t i = 0; i < list->n && rc == 0; i++) {
        const struct recover_listed_part *p = &list->v[i];
        r = (struct record){.type = RECORD_PART,
                            .part = {.part_no = p->part_no,
                                     .generation = 1,
                                     .offset = at,
                                     .size = p->size,
                                     .has_md5 = true,
                                     .etag = p->etag}};
        if (!read_md5(p->etag, r.part.md5) || p->size > RECORD_OFFSET_MAX - at)
            rc = -EINVAL;
        if (rc == 0)
            rc = state_check(ret, &r);
        if (rc == 0)
            rc = state_fold(ret, &r);
        at += p->size;
    }
    if (rc < 0)
        state_done(ret);
    return rc;
}
