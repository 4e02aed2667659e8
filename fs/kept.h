// SPDX-License-Identifier: Apache-2.0
/* kept - uploads without a writer: interrupted, given up, held by a driver that died
 *
 * Role        Knows the journals whose files are not open in any inode, by the key that they were
 *             meant for. The same file written again uses their parts (fs/match.h); storing that
 *             key makes them useless; after keep_interrupted they expire.
 * Locking     everything under fs->lock; the journals are small and read with it.
 */
#ifndef OBSM_FS_KEPT_H
#define OBSM_FS_KEPT_H

#include "checkpoint/state.h"
#include "fs/inode.h"

struct kept {
    uint64_t id;
    uint64_t data_bytes; /* that its staging takes on the disk */
    int64_t failed_ms;   /* clock_ms() when it came here */
    struct journal_state state;
    struct kept *next, *prev; /* fs->kept */
};

/* Takes the journal of that id in. One that cannot be read, or has nothing, is logged and left
 * alone. */
void kept_add_locked(struct fs *fs, uint64_t id);

/* An upload for that key that has parts on the server, or NULL. */
struct kept *kept_find_locked(struct fs *fs, const char *key);

/* The key of this inode was stored: what is kept for it is aborted and dropped. */
void kept_superseded_locked(struct fs *fs, struct inode *inode);

/* Drops one: with `abort` its upload goes as well. */
void kept_drop_locked(struct fs *fs, struct kept *k, bool abort);

/* Drops its staging; the journal and the stored parts stay. */
void kept_drop_data_locked(struct fs *fs, struct kept *k);

/* Drops what is older than keep_interrupted, or too much. */
void kept_expire_locked(struct fs *fs);

/* Frees the list; the files stay. */
void kept_done(struct fs *fs);

#endif
