// SPDX-License-Identifier: Apache-2.0
/* xml - answers of the service, and the two bodies that are sent
 *
 * Role        Bounded, streaming readers for the answers that are used, into the structs of
 *             net/obs.h. Only local names count: namespaces differ between regions. Pure.
 * Bounds      At most XML_BODY_MAX bytes, XML_DEPTH_MAX levels, XML_TEXT_MAX bytes in one element,
 *             XML_ENTRIES_MAX entries. A document type, and with it every entity of one's own, is
 *             refused. Nothing is ever loaded.
 * Results     0 or more: success, the number of entries that were left out because their key
 *             contains a NUL or is longer than a key can be. The struct is filled only then, and
 *             the caller clears it.
 *             -EREMOTEIO: the document is an Error, also inside status 200; *fault says which.
 *             -EBADMSG with a reason in err: not the expected document.
 *             -ENOMEM.
 * Keys        URL-encoded names are decoded if the answer says EncodingType (OBS API: listing
 *             objects; '+' is a blank there).
 */
#ifndef OBSM_NET_XML_H
#define OBSM_NET_XML_H

#include <stddef.h>
#include <stdint.h>

#include "net/base/buf.h"
#include "net/base/err.h"
#include "net/obs.h"

enum {
    XML_BODY_MAX = 16 << 20,
    XML_DEPTH_MAX = 16,
    XML_TEXT_MAX = 16384,
    XML_ENTRIES_MAX = 10000,
    XML_RIGHTS_MAX = 1000, /* of an access list; the service has 100 at most */
};

/* The fields of an Error document. */
struct xml_fault {
    char code[64];
    char message[256];
    char request_id[64];
    char host_id[128];
    char resource[256]; /* cut at the end if it is longer */
    char endpoint[256]; /* of a redirect, "" if not given */
};

/* ListBucketResult: entries and common prefixes merged in key order; next_marker is set if the list
 * is truncated, from the last entry if the answer has none. */
int xml_parse_list(const void *p, size_t n, struct obs_list *ret, struct xml_fault *fault,
                   struct err *err);
/* ListMultipartUploadsResult: entries with upload_id, in the order of the answer. */
int xml_parse_uploads(const void *p, size_t n, struct obs_list *ret, struct xml_fault *fault,
                      struct err *err);
/* ListPartsResult */
int xml_parse_parts(const void *p, size_t n, struct obs_parts *ret, struct xml_fault *fault,
                    struct err *err);
/* DeleteResult: only what failed, with code and message. */
int xml_parse_delete(const void *p, size_t n, struct obs_list *ret, struct xml_fault *fault,
                     struct err *err);
/* InitiateMultipartUploadResult; a missing or empty UploadId is -EBADMSG. */
int xml_parse_initiate(const void *p, size_t n, char *upload_id, size_t size,
                       struct xml_fault *fault, struct err *err);
/* CompleteMultipartUploadResult, CopyObjectResult or CopyPartResult; a missing ETag is -EBADMSG:
 * the request was not carried out (OBS API: copying an object). *ret_mtime_ms (may be NULL) is 0 if
 * the answer has no time. */
int xml_parse_etag(const void *p, size_t n, char *etag, size_t size, int64_t *ret_mtime_ms,
                   struct xml_fault *fault, struct err *err);
/* An Error document. 0; -EBADMSG for anything else, also for an empty body. */
int xml_parse_error(const void *p, size_t n, struct xml_fault *ret);

/* Appends the body of a batch deletion (quiet: the answer names only failures). The keys are put in
 * as they are; one that XML cannot carry (control characters) is -EILSEQ: delete it by itself. */
int xml_build_delete(struct buf *out, const char *const *keys, size_t n);
/* Appends the body that completes an upload. -EINVAL if the parts do not ascend. */
int xml_build_complete(struct buf *out, const struct obs_part *parts, size_t n);

/* AccessControlPolicy in both dialects. No owner, or more than XML_RIGHTS_MAX rights: -EBADMSG. */
int xml_parse_acl(const void *p, size_t n, struct obs_acl *ret, struct xml_fault *fault,
                  struct err *err);
/* Appends an AccessControlPolicy in the OBS dialect: everything for the owner, and the grants. */
int xml_build_acl(struct buf *out, const char *owner, const struct obs_grant *grants, size_t n);

/* Free what the struct holds and zero it. */
void obs_list_clear(struct obs_list *list);
void obs_parts_clear(struct obs_parts *parts);
void obs_object_clear(struct obs_object *object);
void obs_acl_clear(struct obs_acl *acl);

#endif
