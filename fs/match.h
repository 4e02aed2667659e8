// SPDX-License-Identifier: Apache-2.0
/* match - a file written again uses the parts that are on the server already
 *
 * Role        When an upload is to be initiated for a key of which an upload is kept (fs/kept.h),
 *             the service is asked whether it can still win (HEAD) and which parts it has
 *             (ListParts). If so, the new file takes the upload over: a sealed part is hashed
 *             first, and sent only if its MD5 differs from the kept one's.
 *             It must have been begun with the properties that the new file has (fs/properties.h):
 *             they cannot be told to it afterwards.
 * Trust       A part counts only if the journal and the service agree on its place, size and ETag,
 *             and its MD5 is that of the bytes just written (checkpoint/recover.h).
 */
#ifndef OBSM_FS_MATCH_H
#define OBSM_FS_MATCH_H

#include "fs/staged.h"

struct match;

/* True if a kept upload is being looked at: st->upload.state is INITIATING, and the answer goes on
 * from there. */
bool match_start_locked(struct fs *fs, struct staged *st, const char *key);

/* True if the part is being compared (its state is SENDING); it is stored or READY afterwards. */
bool match_part_locked(struct fs *fs, struct staged *st, size_t idx);

void match_free(struct match *m);

/* For an upload that no journal knows (fs/adopt.h): takes v and its ETags of `list` over. NULL: out
 * of memory, or its parts make no sense; `list` then is still the caller's. */
struct recover_adopt;
struct recover_listparts;
struct match *match_adopted(const struct recover_adopt *a, const struct recover_listparts *list);
const struct journal_state *match_state(const struct match *m);

/* The new file goes on with that upload, which takes the place of its own; *m is taken over. -errno:
 * nothing has changed. */
int match_take_over_locked(struct fs *fs, struct staged *st, struct match **m);

/* MD5 of a range of a file. -errno. Blocks on the disk. */
int match_hash_range(int fd, uint64_t off, uint64_t n, unsigned char md5[32]);

/* All pages of ListParts, with the lock dropped by the caller. 0: *ret_v, *ret_n (the caller frees
 * v and its ETags with match_free_parts); -ENOENT: no such upload; else -errno. */
struct recover_listed_part;
int match_list_parts(struct fs *fs, const char *key, const char *upload_id,
                     struct recover_listed_part **ret_v, size_t *ret_n);
void match_free_parts(struct recover_listed_part *v, size_t n);

#endif
