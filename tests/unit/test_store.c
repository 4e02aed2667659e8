// SPDX-License-Identifier: Apache-2.0
// The state directory: place, lock, names, siblings, adoption.
#include "checkpoint/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[] = "/tmp/obsm-store-XXXXXX";

static int make_root(void **state)
{
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command);
}

static struct store_params params(const char *endpoint, const char *prefix)
{
    return (struct store_params){
        .state_dir = root, .endpoint = endpoint, .bucket = "bucket", .prefix = prefix};
}

static struct store *open_store(const char *endpoint, const char *prefix)
{
    struct store_params p = params(endpoint, prefix);
    struct store *st = NULL;
    struct err e = {0};
    if (store_open(&p, &st, &e) < 0)
        fail_msg("%s", e.msg);
    return st;
}

static void make_files(struct store *st, uint64_t id, bool journal, size_t data)
{
    char path[PATH_MAX];
    if (journal) {
        store_journal_path(st, id, path);
        int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "journal", 7), 7);
        close(fd);
    }
    if (data > 0) {
        int fd = store_data_open(st, id, true);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)data), 0);
        assert_int_equal(pwrite(fd, "x", 1, 0), 1);
        close(fd);
    }
}

static void names_are_digests(void **state)
{
    char a[STORE_MOUNT_ID_LEN + 1];
    char b[STORE_MOUNT_ID_LEN + 1];
    store_mount_id("http://e", "b", "", a);
    store_mount_id("http://e", "b", "", b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), STORE_MOUNT_ID_LEN);
    store_mount_id("http://e", "", "b", b); // fields do not run into each other
    assert_string_not_equal(a, b);
    store_mount_id("http://eb", "", "", b);
    assert_string_not_equal(a, b);
}

static void root_by_the_rule(void **state)
{
    char out[PATH_MAX];
    struct err e;
    assert_int_equal(store_root("/somewhere", out, &e), 0);
    assert_string_equal(out, "/somewhere");
    assert_int_equal(store_root("somewhere", out, &e), -EINVAL);
    assert_int_equal(store_root(NULL, out, &e), 0);
    if (geteuid() == 0) {
        assert_string_equal(out, "/var/lib/obsmount");
        return;
    }
    assert_int_equal(setenv("XDG_STATE_HOME", "/xdg", 1), 0);
    assert_int_equal(store_root(NULL, out, &e), 0);
    assert_string_equal(out, "/xdg/obsmount");
    assert_int_equal(setenv("XDG_STATE_HOME", "relative", 1), 0);
    assert_int_equal(setenv("HOME", "/home/me", 1), 0);
    assert_int_equal(store_root(NULL, out, &e), 0);
    assert_string_equal(out, "/home/me/.local/state/obsmount");
}

static void private_directory(void **state)
{
    struct store *st = open_store("http://private", "");
    struct stat sb;
    assert_int_equal(stat(store_path(st), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    char path[PATH_MAX + 16];
    static const char *const files[] = {"lock", "mount"};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", store_path(st), files[i]);
        assert_int_equal(stat(path, &sb), 0);
        assert_int_equal(sb.st_mode & 0777, 0600);
    }
    store_close(st);
    assert_int_equal(chmod(store_path(st = open_store("http://private", "")), 0755), 0);
    store_close(st);
    st = open_store("http://private", "");
    assert_int_equal(stat(store_path(st), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700); // repaired
    store_close(st);
}

static void somebody_elses_directory(void **state)
{
    if (geteuid() != 0)
        skip();
    struct store *st = open_store("http://theirs", "");
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s", store_path(st));
    store_close(st);
    assert_int_equal(chown(path, 12345, 12345), 0);
    struct store_params p = params("http://theirs", "");
    struct err e;
    assert_int_equal(store_open(&p, &st, &e), -EPERM);
    assert_int_equal(chown(path, 0, 0), 0);
}

static void one_driver_at_a_time(void **state)
{
    struct store *st = open_store("http://lock", "");
    struct store_params p = params("http://lock", "");
    struct store *second = NULL;
    struct err e = {0};
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "process %d ", (int)getpid());
    assert_int_equal(store_open(&p, &second, &e), -EBUSY);
    assert_non_null(strstr(e.msg, pid));

    p.read_only = true;
    assert_int_equal(store_open(&p, &second, &e), 0);
    store_close(second);
    p.read_only = false;
    assert_int_equal(store_open(&p, &second, &e), -EBUSY); // still

    store_close(st);
    assert_int_equal(store_open(&p, &second, &e), 0);
    store_close(second);
}

// The driver forks into the background and its parent leaves: the lock stays with the child.
static void lock_goes_with_the_fork(void **state)
{
    int ready[2];
    int quit[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(quit), 0);
    struct store_params p = params("http://fork", "");
    struct err e = {0};
    struct store *st = NULL;
    pid_t parent = fork();
    if (parent == 0) {
        if (store_open(&p, &st, &e) < 0)
            _exit(1);
        if (fork() != 0)
            _exit(0);
        close(quit[1]);
        char c = store_lock_pid(st) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &c, 1);
        (void)!read(quit[0], &c, 1);
        _exit(0);
    }
    int status;
    char c = 0;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_int_equal(status, 0);
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    assert_int_equal(store_open(&p, &st, &e), -EBUSY);
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "process %d ", (int)parent);
    assert_null(strstr(e.msg, pid));
    close(quit[1]); // the child leaves
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 0);
    st = open_store("http://fork", "");
    store_close(st);
    close(ready[0]);
    close(quit[0]);
}

static void numbers_never_come_again(void **state)
{
    struct store *st = open_store("http://ids", "");
    uint64_t a;
    uint64_t b;
    assert_int_equal(store_new_id(st, &a), 0);
    assert_int_equal(store_new_id(st, &b), 0);
    assert_int_equal(b, a + 1);
    store_close(st);
    st = open_store("http://ids", "");
    assert_int_equal(store_new_id(st, &a), 0);
    assert_true(a > b);
    make_files(st, a + 100000, true, 0);
    char path[PATH_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/next_id", store_path(st));
    store_close(st);
    assert_int_equal(unlink(path), 0); // a power cut took it back
    st = open_store("http://ids", "");
    assert_int_equal(store_new_id(st, &b), 0);
    assert_int_equal(b, a + 100001);
    store_close(st);
}

static void listing_and_removal(void **state)
{
    struct store *st = open_store("http://list", "");
    make_files(st, 3, true, 5000);
    make_files(st, 12, true, 0);
    make_files(st, 1, false, 70000);
    static const char *const noise[] = {"7.journal.new", "07.journal", "x.data", "9.datax",
                                        "99999999999999999999.data"};
    for (size_t i = 0; i < 5; i++) {
        char path[PATH_MAX + 64];
        (void)snprintf(path, sizeof(path), "%s/%s", store_path(st), noise[i]);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    struct store_entry *v = NULL;
    size_t n = 0;
    assert_int_equal(store_list(st, &v, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(v[0].id, 1);
    assert_true(v[0].has_data && !v[0].has_journal);
    assert_int_equal(v[0].data_size, 70000);
    assert_true(v[0].data_bytes < 70000); // sparse
    assert_int_equal(v[1].id, 3);
    assert_true(v[1].has_data && v[1].has_journal);
    assert_int_equal(v[1].journal_bytes, 7);
    assert_int_equal(v[2].id, 12);
    free(v);

    for (uint64_t id = 1; id <= 12; id++)
        assert_int_equal(store_remove(st, id), 0);
    assert_int_equal(store_list(st, &v, &n, NULL), 0);
    assert_int_equal(n, 0);
    free(v);
    assert_int_equal(store_data_open(st, 3, false), -ENOENT);

    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s/%s", store_path(st), noise[0]);
    store_close(st);
    st = open_store("http://list", "");
    assert_int_equal(access(path, F_OK), -1); // half-written: swept away
    store_close(st);
}

static void make_ledger(struct store *st, const char *name, size_t size)
{
    char path[2 * PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", store_path(st), name);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

/* Ledgers name keys: those of a directory whose prefix is not below ours stay there. */
static void ledgers_of_a_wider_prefix(void **state)
{
    struct store *wide = open_store("http://wide", "");
    make_ledger(wide, "changes", 100);
    char id[STORE_MOUNT_ID_LEN + 1];
    memcpy(id, store_id(wide), sizeof(id));
    store_close(wide);

    struct store *st = open_store("http://narrow", "b/");
    struct store_adopted taken = {0};
    assert_int_equal(store_adopt(st, id, &taken, NULL), 0);
    assert_int_equal(taken.n_ledgers, 0);
    assert_true(taken.ledgers_stay);
    store_close(st);

    st = open_store("http://as-wide", "");
    assert_int_equal(store_adopt(st, id, &taken, NULL), 0);
    assert_int_equal(taken.n_ledgers, 1);
    assert_false(taken.ledgers_stay);
    store_close(st);
}

static void siblings_and_adoption(void **state)
{
    struct store *old = open_store("http://old", "a/");
    make_files(old, 5, true, 5000);
    make_files(old, 6, true, 0);
    make_files(old, 7, false, 10); // says nothing: stays
    make_ledger(old, "changes", 100);
    make_ledger(old, "moves", 32);
    struct store *idle = open_store("http://idle", "");
    make_ledger(idle, "moves", 32);
    struct store *st = open_store("http://new", "a/");
    uint64_t first;
    assert_int_equal(store_new_id(st, &first), 0);

    struct store_sibling *v = NULL;
    size_t n = 0;
    assert_int_equal(store_siblings(st, &v, &n), 0);
    size_t mine = n;
    for (size_t i = 0; i < n; i++) {
        assert_string_not_equal(v[i].id, store_id(idle));
        if (strcmp(v[i].id, store_id(old)) == 0)
            mine = i;
    }
    assert_true(mine < n);
    assert_string_equal(v[mine].endpoint, "http://old");
    assert_string_equal(v[mine].prefix, "a/");
    assert_int_equal(v[mine].n_unfinished, 2);
    assert_true(v[mine].ledgers);
    assert_int_equal(v[mine].locked_by, getpid());
    free(v);

    struct store_adopted taken = {0};
    struct err e;
    assert_int_equal(store_adopt(st, store_id(old), &taken, &e), -EBUSY);
    char id[STORE_MOUNT_ID_LEN + 1];
    memcpy(id, store_id(old), sizeof(id));
    store_close(old);
    assert_int_equal(store_adopt(st, "../../etc", &taken, &e), -EINVAL);
    assert_int_equal(store_adopt(st, store_id(st), &taken, &e), -EINVAL);
    assert_int_equal(store_adopt(st, "0123456789abcdef0123456789abcdef", &taken, &e), -ENOENT);
    assert_int_equal(store_adopt(st, id, &taken, &e), 0);
    assert_int_equal(taken.n_uploads, 2);
    struct store_entry *entries = NULL;
    assert_int_equal(store_list(st, &entries, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_true(entries[0].id > first && entries[0].has_journal && entries[0].has_data);
    assert_int_equal(entries[0].data_size, 5000);
    assert_true(entries[1].has_journal && !entries[1].has_data);

    // The ledgers come along, under names of their own; an empty one stays.
    uint64_t *numbers = NULL;
    assert_int_equal(taken.n_ledgers, 1);
    assert_false(taken.ledgers_stay);
    assert_int_equal(store_taken(st, "changes", &numbers, &n), 0);
    assert_int_equal(n, 1);
    assert_true(numbers[0] > first);
    free(numbers);
    assert_int_equal(store_taken(st, "moves", &numbers, &n), 0);
    assert_int_equal(n, 0);
    free(numbers);

    // Cut short after linking: the journal has two names. The repetition does not take it twice.
    char from[PATH_MAX];
    char to[2 * PATH_MAX];
    store_journal_path(st, entries[0].id, from);
    (void)snprintf(to, sizeof(to), "%s/%s/5.journal", root, id);
    assert_int_equal(link(from, to), 0);
    assert_int_equal(store_adopt(st, id, &taken, &e), 0);
    free(entries);
    assert_int_equal(store_list(st, &entries, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(access(to, F_OK), -1);
    free(entries);
    store_close(st);
    store_close(idle);
}

static void another_bucket_is_not_ours(void **state)
{
    struct store_params p = params("http://other", "");
    p.bucket = "other-bucket";
    struct store *other = NULL;
    assert_int_equal(store_open(&p, &other, NULL), 0);
    make_files(other, 1, true, 0);
    char id[STORE_MOUNT_ID_LEN + 1];
    memcpy(id, store_id(other), sizeof(id));
    store_close(other);

    struct store *st = open_store("http://mine", "");
    struct store_sibling *v = NULL;
    size_t n = 0;
    assert_int_equal(store_siblings(st, &v, &n), 0);
    for (size_t i = 0; i < n; i++)
        assert_string_not_equal(v[i].id, id);
    free(v);
    struct store_adopted taken = {0};
    struct err e;
    assert_int_equal(store_adopt(st, id, &taken, &e), -EINVAL);
    store_close(st);
}

static void space_and_clock(void **state)
{
    struct store *st = open_store("http://space", "");
    uint64_t free_bytes = 0;
    uint64_t total = 0;
    assert_int_equal(store_space(st, &free_bytes, &total), 0);
    assert_true(total > 0 && free_bytes <= total);
    int64_t server;
    int64_t real;
    assert_int_equal(store_clock_load(st, &server, &real), -ENOENT);
    assert_int_equal(store_clock_save(st, 1700000000, 1700000007), 0);
    assert_int_equal(store_clock_load(st, &server, &real), 0);
    assert_int_equal(server, 1700000000);
    assert_int_equal(real, 1700000007);
    char boot[64];
    store_boot_id(boot);
    assert_int_equal(strlen(boot), 36);
    store_close(st);

    assert_int_equal(store_staging_room(500, 1000, 0, 0), 400);
    assert_int_equal(store_staging_room(100, 1000, 0, 0), 0);
    assert_int_equal(store_staging_room(50, 1000, 0, 0), 0);
    assert_int_equal(store_staging_room(500, 1000, 30, 100), 70);
    assert_int_equal(store_staging_room(500, 1000, 130, 100), 0);
    assert_int_equal(store_staging_room(500, 1000, 0, 1000000), 400);
}

static void memory_file_systems(void **state)
{
    struct store_params p = params("http://shm", "");
    char dir[] = "/dev/shm/obsm-store-XXXXXX";
    if (!mkdtemp(dir))
        skip();
    p.state_dir = dir;
    struct store *st = NULL;
    assert_int_equal(store_open(&p, &st, NULL), 0);
    assert_true(store_on_tmpfs(st));
    store_close(st);
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_digests),          cmocka_unit_test(root_by_the_rule),
        cmocka_unit_test(private_directory),          cmocka_unit_test(somebody_elses_directory),
        cmocka_unit_test(one_driver_at_a_time),       cmocka_unit_test(lock_goes_with_the_fork),
        cmocka_unit_test(numbers_never_come_again),   cmocka_unit_test(listing_and_removal),
        cmocka_unit_test(siblings_and_adoption),      cmocka_unit_test(ledgers_of_a_wider_prefix),
        cmocka_unit_test(another_bucket_is_not_ours), cmocka_unit_test(space_and_clock),
        cmocka_unit_test(memory_file_systems),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
