// SPDX-License-Identifier: Apache-2.0
// Percent-encoding, request targets, endpoints; see url.h.
#include "net/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/digest.h"

/* Not isalnum(): that follows the locale. */
static bool is_alnum(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool stays(unsigned char c, enum url_set set)
{
    return is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '~' ||
           (c == '/' && set == URL_KEY);
}

int url_encode(struct buf *out, const void *raw, size_t n, enum url_set set)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *p = raw;
    size_t i = 0;
    int rc = 0;

    while (i < n && rc == 0) {
        size_t run = i;
        while (run < n && stays(p[run], set))
            run++;
        if (run > i) {
            rc = buf_add(out, p + i, run - i);
            i = run;
            continue;
        }
        char hex[3] = {'%', digits[p[i] >> 4], digits[p[i] & 15]};
        rc = buf_add(out, hex, sizeof(hex));
        i++;
    }
    return rc;
}

/* Every '%' is followed by two digits. */
static bool well_formed(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '%' &&
            (n - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0))
            return false;
    }
    return true;
}

int url_decode(struct buf *out, const char *text, size_t n, bool plus_is_space)
{
    if (!well_formed(text, n))
        return -EINVAL;

    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        char c = text[i];
        if (c == '%') {
            c = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        rc = buf_addc(out, c);
    }
    return rc;
}

int url_path(struct buf *out, const char *bucket, const char *key, bool path_style)
{
    int rc = buf_addc(out, '/');
    if (rc == 0 && path_style) {
        rc = url_encode(out, bucket, strlen(bucket), URL_VALUE);
        if (rc == 0)
            rc = buf_addc(out, '/');
    }
    if (rc == 0 && key)
        rc = url_encode(out, key, strlen(key), URL_KEY);
    return rc;
}

int url_target(struct buf *out, const char *path, const struct url_param *query, size_t n_query)
{
    int rc = buf_adds(out, path);
    for (size_t i = 0; i < n_query && rc == 0; i++) {
        rc = buf_addc(out, i ? '&' : '?');
        if (rc == 0)
            rc = url_encode(out, query[i].name, strlen(query[i].name), URL_VALUE);
        if (rc == 0 && query[i].value) {
            rc = buf_addc(out, '=');
            if (rc == 0)
                rc = url_encode(out, query[i].value, strlen(query[i].value), URL_VALUE);
        }
    }
    return rc;
}

static int parse_port(const char *text, size_t n, uint16_t *ret)
{
    unsigned port = 0;
    if (n < 1 || n > 5)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port < 1 || port > 65535)
        return -EINVAL;
    *ret = (uint16_t)port;
    return 0;
}

/* Labels of letters, digits, '-' and '_', none of them empty or longer than DNS allows. */
static bool is_dns_name(const char *host)
{
    size_t label = 0;
    for (const char *p = host; *p; p++) {
        if (*p == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (!is_alnum((unsigned char)*p) && *p != '-' && *p != '_') {
            return false;
        } else if (++label > 63) {
            return false;
        }
    }
    return host[0] != 0;
}

static int check_host(struct url_endpoint *ep, bool bracketed)
{
    struct in6_addr addr;
    if (bracketed) {
        ep->ip = true;
        return inet_pton(AF_INET6, ep->host, &addr) == 1 ? 0 : -EINVAL;
    }
    ep->ip = inet_pton(AF_INET, ep->host, &addr) == 1;
    return ep->ip || is_dns_name(ep->host) ? 0 : -EINVAL;
}

/* host[:port] in text[0..n) */
static int parse_authority(const char *text, size_t n, struct url_endpoint *ep, struct err *err)
{
    bool bracketed = n > 0 && text[0] == '[';
    const char *host = text + bracketed;
    const char *host_end = memchr(text, bracketed ? ']' : ':', n);
    const char *end = text + n;
    if (bracketed && !host_end)
        return err_set(err, -EINVAL, "the address in brackets has no end");
    if (!host_end)
        host_end = end;

    const char *rest = host_end + bracketed;
    ep->port = ep->tls ? 443 : 80;
    if (rest < end && (*rest != ':' || parse_port(rest + 1, (size_t)(end - rest - 1), &ep->port)))
        return err_set(err, -EINVAL, "the port is not a number from 1 to 65535");

    size_t len = (size_t)(host_end - host);
    if (len == 0 || len >= sizeof(ep->host))
        return err_set(err, -EINVAL, "the host name is empty or too long");
    for (size_t i = 0; i < len; i++)
        ep->host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32 : host[i]);
    ep->host[len] = 0;
    if (memchr(ep->host, 0, len) || check_host(ep, bracketed) < 0)
        return err_set(err, -EINVAL, "the host is not a name or an address");
    return 0;
}

/* Takes the scheme off; -EINVAL for one that is not http or https. */
static int parse_scheme(const char **text, struct url_endpoint *ep)
{
    ep->tls = true;
    if (strncasecmp(*text, "https://", 8) == 0) {
        *text += 8;
    } else if (strncasecmp(*text, "http://", 7) == 0) {
        *text += 7;
        ep->tls = false;
    } else if (strstr(*text, "://")) {
        return -EINVAL;
    }
    return 0;
}

int url_endpoint_parse(const char *text, struct url_endpoint *ret, struct err *err)
{
    struct url_endpoint ep = {0};
    if (parse_scheme(&text, &ep) < 0)
        return err_set(err, -EINVAL, "the scheme of the endpoint is neither http nor https");

    size_t n = strcspn(text, "/?#@");
    if (text[n] != 0 && strcmp(text + n, "/") != 0)
        return err_set(err, -EINVAL, "the endpoint has more than a host and a port");
    int rc = parse_authority(text, n, &ep, err);
    if (rc < 0) {
        err_prefix(err, "endpoint");
        return rc;
    }
    *ret = ep;
    return 0;
}

int url_parse(const char *url, struct url_endpoint *ret, const char **ret_target, struct err *err)
{
    struct url_endpoint ep = {0};
    const char *text = url;
    if (parse_scheme(&text, &ep) < 0 || text == url)
        return err_set(err, -EINVAL, "the address does not begin with http:// or https://");

    size_t n = strcspn(text, "/?#");
    if (memchr(text, '@', n))
        return err_set(err, -EINVAL, "the address contains a user name");
    int rc = parse_authority(text, n, &ep, err);
    if (rc < 0)
        return rc;
    *ret = ep;
    *ret_target = text + n;
    return 0;
}

int url_host(const struct url_endpoint *ep, const char *bucket, char *out, size_t size)
{
    bool v6 = strchr(ep->host, ':') != NULL;
    char port[8] = "";
    if (ep->port != (ep->tls ? 443 : 80))
        (void)snprintf(port, sizeof(port), ":%u", ep->port);
    int n = snprintf(out, size, "%s%s%s%s%s%s", bucket ? bucket : "", bucket ? "." : "",
                     v6 ? "[" : "", ep->host, v6 ? "]" : "", port);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int url_region(const struct url_endpoint *ep, char *out, size_t size)
{
    static const char before[] = "obs.", after[] = ".myhuaweicloud.com";
    size_t skip = sizeof(before) - 1, end = sizeof(after) - 1, n = strlen(ep->host);
    if (ep->ip || n <= skip + end || strncmp(ep->host, before, skip) != 0 ||
        strcmp(ep->host + n - end, after) != 0)
        return -ENOENT;
    n -= skip + end;
    if (memchr(ep->host + skip, '.', n))
        return -ENOENT;
    if (n >= size)
        return -ENAMETOOLONG;
    memcpy(out, ep->host + skip, n);
    out[n] = 0;
    return 0;
}

const char *url_scheme(const struct url_endpoint *ep)
{
    return ep->tls ? "https" : "http";
}

int url_bucket_check(const char *name, struct err *err)
{
    size_t n = strlen(name);
    struct in_addr addr;

    if (n < 3 || n > 63)
        return err_set(err, -EINVAL, "a bucket name has 3 to 63 characters, this one has %zu", n);
    for (size_t i = 0; i < n; i++) {
        bool inner = name[i] == '.' || name[i] == '-';
        bool plain = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');
        if (!inner && !plain)
            return err_set(err, -EINVAL,
                           "a bucket name has only a-z, 0-9, '.' and '-', not the one at place %zu",
                           i + 1);
        if (inner && (i == 0 || i == n - 1))
            return err_set(err, -EINVAL, "a bucket name begins and ends with a letter or digit");
        if (inner && (name[i + 1] == '.' || (name[i] == '.' && name[i + 1] == '-')))
            return err_set(err, -EINVAL, "a bucket name has no '..', '.-' or '-.'");
    }
    if (inet_pton(AF_INET, name, &addr) == 1)
        return err_set(err, -EINVAL, "a bucket name is not an IP address");
    return 0;
}
