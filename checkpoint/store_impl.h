// SPDX-License-Identifier: Apache-2.0
/* store_impl - the inside of a state directory, shared by store*.c only */
#ifndef OBSM_CHECKPOINT_STORE_IMPL_H
#define OBSM_CHECKPOINT_STORE_IMPL_H

#include "checkpoint/store.h"
#include "net/base/lock.h"

enum { STORE_TEXT_MAX = 2048 };

struct store {
    /* constant after open */
    char path[PATH_MAX];
    char id[STORE_MOUNT_ID_LEN + 1];
    char bucket[64];
    char prefix[1025];
    int dir_fd;
    int lock_fd; /* -1: read-only */

    struct lock lock;
    uint64_t next_id;     /* under lock */
    uint64_t reserved_id; /* under lock; ids below it are ours to give out */
};

/* dir/name into out. -ENAMETOOLONG. */
int store_child(const char *dir, const char *name, char out[PATH_MAX]);

/* Reads a small file as a string; its length, or -errno. */
int store_read_text(int dir_fd, const char *name, char *out, size_t size);

/* Takes the lock of a state directory; closing *ret_fd gives it back. -EBUSY. */
int store_try_lock(int dir_fd, int *ret_fd);

/* True if a driver holds the lock. Takes nothing. */
bool store_is_locked(int dir_fd);

/* The pid in the file `lock`, -1 if there is none. */
int store_locked_by(int dir_fd);

/* The entries of any state directory, by id. The caller frees *ret. */
int store_list_fd(int dir_fd, struct store_entry **ret, size_t *ret_n);

/* Removes what a crash left half-written: names that end in ".new". */
void store_sweep(int dir_fd);

#endif
