// SPDX-License-Identifier: Apache-2.0
/* ops - the operations of the object service
 *
 * Role        One struct op each, named as the OBS API names it; ops_bucket.c, ops_object.c,
 *             ops_multipart.c and ops_acl.c have them. Source: OBS API, operations on buckets, on
 *             objects, on multipart uploads.
 */
#ifndef OBSLOCAL_OPS_H
#define OBSLOCAL_OPS_H

#include "tests/obs-local/server.h"

extern const struct op op_list_buckets, op_head_bucket, op_create_bucket, op_delete_bucket,
    op_list_objects, op_get_location, op_get_storage_info, op_get_quota, op_set_bucket_quota,
    op_get_versioning, op_get_bucket_acl, op_set_bucket_acl, op_delete_objects;
extern const struct op op_put_object, op_get_object, op_head_object, op_delete_object,
    op_copy_object, op_set_metadata, op_get_object_acl, op_set_object_acl;
extern const struct op op_initiate_upload, op_upload_part, op_copy_part, op_list_parts,
    op_complete_upload, op_abort_upload, op_list_uploads;

/* --- props.c: what is stored with an object --- */

/* Reads every property in the request's headers; false: the request was refused. */
bool props_from_request(struct request *r, struct pairs *ret);
/* Puts them into the answer's headers, as HEAD and GET show them. */
void props_to_answer(struct request *r, const struct pairs *props);
/* The encryption headers only, as PUT, initiate, part and complete show them. */
void props_sse_to_answer(struct request *r, const struct pairs *props);
/* The storage class under the name of the request's dialect; "STANDARD" if none. */
const char *props_storage_class(const struct request *r, const struct pairs *props);
bool props_encrypted(const struct pairs *props);
/* False: the grants do not name the owner, see read_rights() in props.c. */
bool props_owner_may_read(const struct pairs *props);
/* True if the request has the customer key that these properties need; else it was refused.
 * `prefix` is "" or "copy-source-". */
bool props_check_customer_key(struct request *r, const struct pairs *props, const char *prefix);
/* The ETag of a body: its MD5, or something else if the object is encrypted. */
void props_etag(const struct pairs *props, const unsigned char md5[16], char *out, size_t size);

/* The CRC-64 of the content: kept, and given back in this answer. */
void props_set_crc64(struct request *r, struct pairs *props, uint64_t crc);

/* True if anyone may read what has these properties. */
bool props_public_read(const struct pairs *props);

/* --- shared --- */
/* The source object of a copy (a reference), its conditions and key checked; NULL: refused. */
struct object *copy_source(struct request *r);
/* MD5 over bytes off..off+len. -errno. */
int segs_md5(const struct segs *segs, uint64_t off, uint64_t len, unsigned char md5[16]);
const char *iso_text(struct request *r, int64_t ms);
void xml_owner(struct request *r, const char *tag, const char *id);
/* The query's number, or `otherwise` if it is not there; false: refused. */
bool query_number(struct request *r, const char *name, unsigned otherwise, unsigned max,
                  unsigned *ret);

#endif
