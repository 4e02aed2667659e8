// SPDX-License-Identifier: Apache-2.0
/* posix - one system call after the other, each with the errors that its manual names
 *
 *   posix CASE DIR     runs a case in an empty directory of the mount; its exit status is 1 if a
 *                      check has failed, all of which are printed with file and line
 *
 * A case is a function that begins in the directory and leaves there what it likes. It runs as root;
 * AS_NOBODY runs checks in a process of another user. posix_name.c has names and directories,
 * posix_access.c permissions, posix_file.c content, times and the rest.
 */
#ifndef OBSM_TESTS_MOUNT_POSIX_H
#define OBSM_TESTS_MOUNT_POSIX_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { NOBODY = 65534 };

void posix_check(bool good, const char *file, int line, const char *what, const char *got);
/* The result of a call that should succeed, or fail with `eno`. */
void posix_result(long rc, int eno, const char *file, int line, const char *what);

#define IS(condition) posix_check((condition), __FILE__, __LINE__, #condition, "")
#define OK(call) posix_result((errno = 0, (long)(call)), 0, __FILE__, __LINE__, #call)
#define NO(eno, call) posix_result((errno = 0, (long)(call)), (eno), __FILE__, __LINE__, #call)

/* Runs the function in a process of user and group NOBODY (and of group `extra`, if not 0); its
 * checks count. */
void posix_as(uid_t uid, gid_t extra, void (*fn)(void));
/* Runs it in another process of the same user. */
void posix_in_child(void (*fn)(void));

/* A regular file with that text. */
void posix_make(const char *name, const char *text);
/* True if the file has that text. */
bool posix_has(const char *name, const char *text);
struct stat posix_stat(const char *name); /* lstat */
/* n times 'x', in memory that stays. */
const char *posix_long_name(size_t n);

void open_flags(void);
void open_errors(void);
void directories(void);
void links(void);
void renames(void);
void unlinks(void);
void numbers(void);
void special_files(void);
void permissions(void);
void ownership(void);
void sticky_and_setgid(void);
void times(void);
void sizes(void);
void fallocates(void);
void maps(void);
void locks(void);
void xattrs(void);
void input_output(void);

#endif
