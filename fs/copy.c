// SPDX-License-Identifier: Apache-2.0
// Copies on the server; see copy.h.
#include "fs/copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/options.h"
#include "fs/properties.h"
#include "fs/request.h"
#include "net/base/log.h"
#include "net/digest.h"
#include "net/sse.h"

/* Parts of a copied object: large enough for 48.8 TB in 10,000 parts, small enough to run side by
 * side. */
#define COPY_PART ((uint64_t)1 << 30)

bool copy_in_one(uint64_t size)
{
    uint64_t max = COPY_MAX;
#ifdef OBSM_TEST_HOOKS
    const char *lower = getenv("OBSM_COPY_MAX");
    if (lower)
        max = strtoull(lower, NULL, 10);
#endif
    return size <= max;
}

static int check_copy(struct fs *fs, const struct copy_object *c, const char *etag,
                      struct intr *intr)
{
    unsigned char md5[DIGEST_MD5_SIZE];
    if (!c->encrypted && etag_md5(c->etag, md5) == 0 && etag_md5(etag, md5) == 0 &&
        !etag_equal(c->etag, etag)) {
        log_error(fs->log, "copy", "'%s' to '%s': the copy's ETag is %s, not %s", c->from, c->to,
                  etag, c->etag);
        return -EIO;
    }
    struct obs_call head = {
        .op = OBS_HEAD, .key = c->to, .read_key = c->sse ? sse_customer_md5(c->sse) : NULL};
    int rc = request_run_locked(fs, &head, intr, "copy");
    if (rc == -ENOENT ||
        (rc == 0 && (head.object.size != c->size || !etag_equal(head.object.etag, etag)))) {
        log_error(fs->log, "copy", "'%s' to '%s': the service says that it has copied: %s", c->from,
                  c->to, rc < 0 ? "nothing is there" : "what is there has another size or ETag");
        rc = -EIO;
    }
    obs_call_clear(&head);
    return rc;
}

static int copy_single(struct fs *fs, const struct copy_object *c, struct intr *intr,
                       char ret_etag[OBS_ETAG_MAX])
{
    struct obs_call call = {.op = OBS_COPY,
                            .key = c->to,
                            .source_key = c->from,
                            .props = c->sse,
                            .read_key = c->read_key,
                            .if_match = c->etag};
    int rc = request_run_locked(fs, &call, intr, "copy");
    if (rc < 0 && call.err.cls == ERR_CONFLICT)
        rc = -ESTALE;
    if (rc == 0)
        (void)snprintf(ret_etag, OBS_ETAG_MAX, "%s", call.object.etag);
    obs_call_clear(&call);
    return rc;
}

struct part_copy {
    const struct copy_object *c;
    char upload_id[OBS_UPLOAD_ID_MAX];
    struct obs_props sse; /* of the new object */
    struct obs_props end; /* headers that Complete and abort say again */
    struct obs_part *parts;
    size_t n;
    uint64_t part_size;
};

static int next_part(void *arg, size_t i, struct obs_call *call)
{
    struct part_copy *pc = arg;
    if (i == pc->n)
        return 1;
    uint64_t off = i * pc->part_size;
    uint64_t left = pc->c->size - off;
    *call = (struct obs_call){.op = OBS_MP_COPY_PART,
                              .key = pc->c->to,
                              .source_key = pc->c->from,
                              .props = &pc->sse,
                              .read_key = pc->c->read_key,
                              .if_match = pc->c->etag,
                              .upload_id = pc->upload_id,
                              .part_no = (uint32_t)i + 1,
                              .offset = off,
                              .length = left < pc->part_size ? left : pc->part_size};
    pc->parts[i] = (struct obs_part){.part_no = call->part_no, .size = call->length};
    return 0;
}

static int end_part(void *arg, size_t i, struct obs_call *call)
{
    struct part_copy *pc = arg;
    if (call->err.eno)
        return call->err.cls == ERR_CONFLICT ? -ESTALE : call->err.eno;
    memcpy(pc->parts[i].etag, call->object.etag, OBS_ETAG_MAX);
    return 0;
}

/* Runs the parts and Complete; aborts the upload if they fail. */
static int finish_parts(struct fs *fs, struct part_copy *pc, struct intr *intr,
                        char ret_etag[OBS_ETAG_MAX])
{
    const struct request_batch batch = {
        .next = next_part, .end = end_part, .arg = pc, .width = (size_t)fs->opt->parallel};
    int rc = request_batch_locked(fs, &batch, intr);
    if (rc == 0) {
        struct obs_call call = {.op = OBS_MP_COMPLETE,
                                .key = pc->c->to,
                                .upload_id = pc->upload_id,
                                .props = &pc->end,
                                .complete = pc->parts,
                                .n_complete = pc->n};
        rc = request_run_locked(fs, &call, intr, "copy");
        if (rc == 0)
            (void)snprintf(ret_etag, OBS_ETAG_MAX, "%s", call.object.etag);
        obs_call_clear(&call);
    }
    if (rc < 0) {
        struct obs_call call = {
            .op = OBS_MP_ABORT, .key = pc->c->to, .upload_id = pc->upload_id, .props = &pc->end};
        (void)request_run_locked(fs, &call, NULL, "abort");
        obs_call_clear(&call);
    }
    return rc;
}

static uint64_t copy_part_size(void)
{
#ifdef OBSM_TEST_HOOKS
    const char *lower = getenv("OBSM_COPY_PART");
    if (lower)
        return strtoull(lower, NULL, 10);
#endif
    return COPY_PART;
}

static int copy_parts(struct fs *fs, const struct copy_object *c, struct intr *intr,
                      char ret_etag[OBS_ETAG_MAX])
{
    struct part_copy pc = {.c = c, .part_size = copy_part_size()};
    while (c->size > pc.part_size * PLAN_PARTS_MAX)
        pc.part_size *= 2;
    pc.n = (size_t)((c->size + pc.part_size - 1) / pc.part_size);
    pc.parts = calloc(pc.n, sizeof(*pc.parts));
    if (!pc.parts)
        return -ENOMEM;

    /* The new upload gets the properties that the source has at this moment. */
    struct obs_call head = {.op = OBS_HEAD, .key = c->from, .read_key = c->read_key};
    int rc = request_run_locked(fs, &head, intr, "copy");
    if (rc == 0 && !etag_equal(head.object.etag, c->etag))
        rc = -ESTALE;
    const struct obs_props *props = c->props ? c->props : &head.object.props;
    if (rc == 0)
        rc = sse_copy(&pc.sse, props);
    for (size_t i = 0; rc == 0 && !c->props && c->sse && i < c->sse->n; i++) {
        const struct obs_prop *p = &c->sse->v[i];
        rc = sse_is_prop(p) ? 0 : obs_props_set(&head.object.props, p->kind, p->name, p->value);
    }
    if (rc == 0)
        rc = properties_for_end(props, &pc.end);
    struct obs_call start = {.op = OBS_MP_INITIATE, .key = c->to, .props = props};
    if (rc == 0)
        rc = request_run_locked(fs, &start, intr, "copy");
    if (rc == 0) {
        (void)snprintf(pc.upload_id, sizeof(pc.upload_id), "%s", start.upload_id_out);
        rc = finish_parts(fs, &pc, intr, ret_etag);
    }
    obs_call_clear(&start);
    obs_call_clear(&head);
    obs_props_clear(&pc.sse);
    obs_props_clear(&pc.end);
    free(pc.parts);
    return rc;
}

int copy_object_locked(struct fs *fs, const struct copy_object *c, struct intr *intr,
                       char ret_etag[OBS_ETAG_MAX])
{
    int rc = copy_in_one(c->size) && !c->props ? copy_single(fs, c, intr, ret_etag) : -EOPNOTSUPP;
    /* Ceph copies encrypted objects by parts only. */
    if (rc == -EOPNOTSUPP && c->size > 0)
        rc = copy_parts(fs, c, intr, ret_etag);
    return rc < 0 ? rc : check_copy(fs, c, ret_etag, intr);
}
