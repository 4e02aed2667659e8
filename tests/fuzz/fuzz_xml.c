// SPDX-License-Identifier: Apache-2.0
// The readers of XML answers.
#include <errno.h>

#include "net/xml.h"
#include "tests/fuzz/fuzz.h"

static void check_rc(int rc, const struct xml_fault *f)
{
    FUZZ_CHECK(rc >= 0 || rc == -EBADMSG || rc == -EREMOTEIO || rc == -ENOMEM);
    FUZZ_CHECK(memchr(f->code, 0, sizeof(f->code)));
    FUZZ_CHECK(memchr(f->message, 0, sizeof(f->message)));
}

static void check_list(const struct obs_list *l, int rc)
{
    FUZZ_CHECK(rc >= 0 || (l->n == 0 && !l->v && !l->next_marker));
    FUZZ_CHECK(l->n <= XML_ENTRIES_MAX);
    for (size_t i = 0; i < l->n; i++) {
        FUZZ_CHECK(l->v[i].key && l->v[i].key[0] && strlen(l->v[i].key) <= OBS_KEY_MAX);
        FUZZ_CHECK(l->v[i].etag);
        FUZZ_CHECK(l->v[i].size <= INT64_MAX);
    }
    FUZZ_CHECK(l->truncated || !l->next_marker);
}

static void read_lists(const uint8_t *data, size_t size)
{
    struct xml_fault f;
    struct obs_list l;
    struct err err;

    int rc = xml_parse_list(data, size, &l, &f, &err);
    check_rc(rc, &f);
    check_list(&l, rc);
    for (size_t i = 1; i < l.n; i++)
        FUZZ_CHECK(strcmp(l.v[i - 1].key, l.v[i].key) <= 0);
    if (l.truncated) {
        FUZZ_CHECK(l.next_marker && l.next_marker[0]);
        FUZZ_CHECK(!l.n || strcmp(l.next_marker, l.v[l.n - 1].key) >= 0);
    }
    obs_list_clear(&l);

    rc = xml_parse_uploads(data, size, &l, &f, &err);
    check_rc(rc, &f);
    check_list(&l, rc);
    for (size_t i = 0; i < l.n; i++)
        FUZZ_CHECK(l.v[i].is_prefix || l.v[i].upload_id);
    obs_list_clear(&l);

    rc = xml_parse_delete(data, size, &l, &f, &err);
    check_rc(rc, &f);
    check_list(&l, rc);
    obs_list_clear(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xml_fault f;
    struct obs_parts parts;
    struct err err;
    char text[OBS_ETAG_MAX];
    int64_t ms;

    read_lists(data, size);
    int rc = xml_parse_parts(data, size, &parts, &f, &err);
    check_rc(rc, &f);
    for (size_t i = 0; i < parts.n; i++)
        FUZZ_CHECK(parts.v[i].part_no >= 1 && parts.v[i].part_no <= 10000);
    FUZZ_CHECK(!parts.truncated || parts.next_marker > 0);
    obs_parts_clear(&parts);

    rc = xml_parse_initiate(data, size, text, sizeof(text), &f, &err);
    check_rc(rc, &f);
    FUZZ_CHECK(rc < 0 || text[0]);
    rc = xml_parse_etag(data, size, text, sizeof(text), &ms, &f, &err);
    check_rc(rc, &f);
    FUZZ_CHECK(rc < 0 || text[0]);
    struct obs_acl acl;
    rc = xml_parse_acl(data, size, &acl, &f, &err);
    check_rc(rc, &f);
    FUZZ_CHECK(rc < 0 ? !acl.n && !acl.v : acl.owner[0] && acl.n <= XML_RIGHTS_MAX);
    for (size_t i = 0; i < acl.n; i++)
        FUZZ_CHECK(!acl.v[i].everyone || !acl.v[i].id);
    obs_acl_clear(&acl);
    (void)xml_parse_error(data, size, &f);
    return 0;
}
