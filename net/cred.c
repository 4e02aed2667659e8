// SPDX-License-Identifier: Apache-2.0
// Reading access keys; see cred.h. cred_source.c keeps them.
#include "net/cred.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/base/cleanup.h"
#include "net/base/file.h"

void cred_wipe(struct cred *cred)
{
    explicit_bzero(cred, sizeof(*cred));
}

/* A piece of the text, not terminated. */
struct span {
    const char *p;
    size_t n;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* What is before `c`, and in *rest what is behind it; without `c` all of it, and *rest is empty. */
static struct span split(struct span s, char c, struct span *rest)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    if (!at) {
        *rest = (struct span){s.p + s.n, 0};
        return s;
    }
    *rest = (struct span){at + 1, (size_t)(s.p + s.n - at - 1)};
    return (struct span){s.p, (size_t)(at - s.p)};
}

/* Copies a key: printable, without blanks. An empty or too long one is -EINVAL. */
static int take(struct span s, char *out, size_t size)
{
    s = trim(s);
    if (s.n == 0 || s.n >= size)
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
            return -EINVAL;
    }
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
    return 0;
}

static bool named(struct span s, const char *name)
{
    return s.n == strlen(name) && strncasecmp(s.p, name, s.n) == 0;
}

/* NAME=VALUE. 1: not a name of ours. */
static int take_assignment(struct span name, struct span value, struct cred *ret)
{
    name = trim(name);
    value = trim(value);
    if (named(name, "ak") || named(name, "AWSAccessKeyId"))
        return take(value, ret->ak, sizeof(ret->ak));
    if (named(name, "sk") || named(name, "AWSSecretKey"))
        return take(value, ret->sk, sizeof(ret->sk));
    if (named(name, "token"))
        return value.n ? take(value, ret->token, sizeof(ret->token)) : 0;
    return 1;
}

/* AK:SK[:TOKEN] */
static int take_colons(struct span line, struct cred *ret)
{
    struct span rest, token;
    struct span ak = split(line, ':', &rest);
    struct span sk = split(rest, ':', &token);
    int rc = take(ak, ret->ak, sizeof(ret->ak));
    if (rc == 0)
        rc = take(sk, ret->sk, sizeof(ret->sk));
    if (rc == 0 && trim(token).n)
        rc = take(token, ret->token, sizeof(ret->token));
    return rc;
}

/* An assignment has its '=' before any ':'; "=" also ends a token in base64. */
static bool is_assignment(struct span line)
{
    const char *equals = memchr(line.p, '=', line.n);
    const char *colon = memchr(line.p, ':', line.n);
    return equals && (!colon || equals < colon);
}

static int take_line(struct span line, struct cred *ret)
{
    line = trim(line);
    if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';' || line.p[0] == '[')
        return 0;
    if (is_assignment(line)) {
        struct span value;
        struct span name = split(line, '=', &value);
        int rc = take_assignment(name, value, ret);
        return rc == 1 ? 0 : rc;
    }
    if (ret->ak[0])
        return -EINVAL;
    return take_colons(line, ret);
}

int cred_parse(const char *text, size_t n, struct cred *ret, struct err *err)
{
    struct span rest = {text, n};
    int rc = 0;

    *ret = (struct cred){0};
    if (n > CRED_FILE_MAX)
        return err_set(err, -EFBIG, "a credential file has at most %d bytes", CRED_FILE_MAX);
    for (unsigned no = 1; rest.n && rc == 0; no++) {
        struct span line = split(rest, '\n', &rest);
        rc = take_line(line, ret);
        if (rc < 0)
            err_set(err, rc,
                    "line %u is neither AK:SK nor AK:SK:TOKEN nor a NAME=VALUE with a usable value",
                    no);
    }
    if (rc == 0 && (!ret->ak[0] || !ret->sk[0]))
        rc = err_set(err, -EINVAL, "%s is missing",
                     ret->ak[0] ? "the secret key" : "the access key");
    if (rc < 0)
        cred_wipe(ret);
    return rc;
}

int cred_from_env(cred_getenv_fn *get, void *arg, struct cred *ret, const char **ret_name,
                  struct err *err)
{
    static const struct {
        const char *ak, *sk, *token;
    } names[] = {
        {"OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"},
        {"AccessKeyID", "SecretAccessKey", "SecurityToken"},
        {"HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"},
        {"HW_ACCESS_KEY", "HW_SECRET_KEY", "HW_SECURITY_TOKEN"},
        {"OTCCLOUD_SDK_AK", "OTCCLOUD_SDK_SK", NULL},
    };

    *ret = (struct cred){0};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *ak = get(arg, names[i].ak);
        const char *sk = get(arg, names[i].sk);
        const char *token = names[i].token ? get(arg, names[i].token) : NULL;
        if (!ak || !*ak || !sk || !*sk)
            continue;
        int rc = take((struct span){ak, strlen(ak)}, ret->ak, sizeof(ret->ak));
        if (rc == 0)
            rc = take((struct span){sk, strlen(sk)}, ret->sk, sizeof(ret->sk));
        if (rc == 0 && token && *token)
            rc = take((struct span){token, strlen(token)}, ret->token, sizeof(ret->token));
        if (rc < 0) {
            cred_wipe(ret);
            return err_set(err, rc, "a value of %s, %s or its token is not a usable key",
                           names[i].ak, names[i].sk);
        }
        if (ret_name)
            *ret_name = names[i].ak;
        return 0;
    }
    return err_set(err, -ENOENT, "no access key is in the environment, such as %s and %s",
                   names[0].ak, names[0].sk);
}

/* Only us and root may be able to change the file, and nobody else to read it. */
static int check_file(const char *path, const struct stat *st, size_t max, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return err_set(err, -EINVAL, "'%.160s' is not a regular file", path);
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return err_set(err, -EACCES, "'%.160s' belongs to user %u, not to this user or root", path,
                       (unsigned)st->st_uid);
    if (st->st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err, -EACCES, "'%.160s' may be accessed by others (mode %04o): chmod 600 it",
                       path, (unsigned)(st->st_mode & 07777));
    if ((uint64_t)st->st_size > max)
        return err_set(err, -EFBIG, "'%.160s' is larger than %zu bytes", path, max);
    return 0;
}

ssize_t cred_read_file(const char *path, char *out, size_t size, struct err *err)
{
    struct stat st;

    /* Nonblocking: a pipe in the file's place must not hang the mount. */
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int eno = -errno;
        return err_set(err, eno, "cannot open '%.160s': %s", path, err_text(eno));
    }
    int rc = check_file(path, &st, size - 1, err);
    if (rc < 0)
        return rc;
    ssize_t n = file_read(fd, out, size);
    if (n < 0)
        return err_set(err, (int)n, "cannot read '%.160s': %s", path, err_text((int)n));
    if ((size_t)n == size) {
        explicit_bzero(out, size);
        return err_set(err, -EFBIG, "'%.160s' is larger than %zu bytes", path, size - 1);
    }
    out[n] = 0;
    return n;
}

int cred_from_file(const char *path, struct cred *ret, struct err *err)
{
    char text[CRED_FILE_MAX + 1];

    *ret = (struct cred){0};
    ssize_t n = cred_read_file(path, text, sizeof(text), err);
    if (n < 0)
        return (int)n;
    int rc = cred_parse(text, (size_t)n, ret, err);
    if (rc < 0)
        err_prefix(err, "'%.120s'", path);
    explicit_bzero(text, sizeof(text));
    return rc;
}
