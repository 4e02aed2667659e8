// SPDX-License-Identifier: Apache-2.0
// Answers of the service and the bodies that are sent.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/xml.h"

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS " xmlns=\"http://obs.example.com/doc/2015-06-30/\""
#define NO_SUCH_KEY                                                                                \
    HEAD "<Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message>"                 \
         "<RequestId>0001</RequestId><HostId>h</HostId><Endpoint>obs.x</Endpoint></Error>"

static int list(const char *text, struct obs_list *ret)
{
    struct err err = {0};
    int rc = xml_parse_list(text, strlen(text), ret, NULL, &err);
    assert_true(rc >= 0 || err.msg[0]);
    return rc;
}

static void test_list(void **state)
{
    struct obs_list l;
    assert_int_equal(
        list(HEAD
             "<ListBucketResult" NS "><Name>b</Name><Prefix>p/</Prefix><Marker/>"
             "<MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><IsTruncated>false</IsTruncated>"
             "<Contents><Key>p/b.txt</Key><LastModified>2024-10-15T07:20:09.123Z</LastModified>"
             "<ETag>\"5d41402abc4b2a76b9719d911017c592\"</ETag><Size>5</Size>"
             "<Owner><ID>o</ID><Key>not this</Key></Owner>"
             "<StorageClass>STANDARD</StorageClass></Contents>"
             "<Contents><Key>p/&lt;&amp;&#xe9;</Key><ETag>&quot;a-2&quot;</ETag>"
             "<Size>48800000000000</Size></Contents>"
             "<CommonPrefixes><Prefix>p/c/</Prefix><MTime>1700000000</MTime><Mode>16877</Mode>"
             "</CommonPrefixes><CommonPrefixes><Prefix>p/a/</Prefix></CommonPrefixes>"
             "</ListBucketResult>",
             &l),
        0);
    assert_int_equal(l.n, 4);
    assert_string_equal(l.v[0].key, "p/<&\xc3\xa9");
    assert_string_equal(l.v[0].etag, "a-2");
    assert_true(l.v[0].size == UINT64_C(48800000000000));
    assert_string_equal(l.v[1].key, "p/a/");
    assert_true(l.v[1].is_prefix);
    assert_string_equal(l.v[1].etag, "");
    assert_string_equal(l.v[2].key, "p/b.txt");
    assert_string_equal(l.v[2].etag, "5d41402abc4b2a76b9719d911017c592");
    assert_true(l.v[2].mtime_ms == 1728976809123);
    assert_int_equal(l.v[2].size, 5);
    assert_string_equal(l.v[3].key, "p/c/");
    assert_true(l.v[3].mtime_ms == 1700000000000);
    assert_false(l.truncated);
    assert_null(l.next_marker);
    obs_list_clear(&l);
    obs_list_clear(&l);
}

static void test_several_prefixes(void **state)
{
    struct obs_list l;
    assert_int_equal(list("<ListBucketResult><CommonPrefixes><Prefix>b/</Prefix><Prefix>a/</Prefix>"
                          "</CommonPrefixes></ListBucketResult>",
                          &l),
                     0);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.v[0].key, "a/");
    assert_string_equal(l.v[1].key, "b/");
    assert_true(l.v[0].is_prefix && l.v[1].is_prefix);
    assert_string_equal(l.v[0].etag, "");
    obs_list_clear(&l);
}

static void test_list_encoded(void **state)
{
    struct obs_list l;
    const char *text = "<ListBucketResult><EncodingType>url</EncodingType>"
                       "<IsTruncated>true</IsTruncated><NextMarker>z%2B1</NextMarker>"
                       "<Contents><Key>a+b%2Bc%01</Key><Size>0</Size></Contents>"
                       "<Contents><Key>nul%00x</Key><Size>0</Size></Contents>"
                       "<Contents><Key></Key><Size>0</Size></Contents>"
                       "<CommonPrefixes><Prefix>a%20/</Prefix></CommonPrefixes>"
                       "</ListBucketResult>";
    assert_int_equal(list(text, &l), 2);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.v[0].key, "a /");
    assert_string_equal(l.v[1].key, "a b+c\x01");
    assert_string_equal(l.next_marker, "z+1");
    obs_list_clear(&l);

    /* EncodingType after the entries counts as well; without it nothing is decoded. */
    assert_int_equal(list("<ListBucketResult><Contents><Key>a%20b</Key><Size>0</Size></Contents>"
                          "<EncodingType>url</EncodingType></ListBucketResult>",
                          &l),
                     0);
    assert_string_equal(l.v[0].key, "a b");
    obs_list_clear(&l);
    assert_int_equal(list("<ListBucketResult><Contents><Key>a%20b+</Key><Size>0</Size></Contents>"
                          "</ListBucketResult>",
                          &l),
                     0);
    assert_string_equal(l.v[0].key, "a%20b+");
    obs_list_clear(&l);
    assert_int_equal(list("<ListBucketResult><EncodingType>url</EncodingType>"
                          "<Contents><Key>100%</Key><Size>0</Size></Contents></ListBucketResult>",
                          &l),
                     -EBADMSG);
}

static void marker_is(const char *text, const char *wanted)
{
    struct obs_list l;
    assert_int_equal(list(text, &l), 0);
    assert_true(l.truncated);
    assert_string_equal(l.next_marker, wanted);
    obs_list_clear(&l);
}

static void test_next_marker(void **state)
{
#define PAGE(inner)                                                                                \
    "<ListBucketResult><IsTruncated>true</IsTruncated>" inner                                      \
    "<Contents><Key>k</Key><Size>0</Size></Contents>"                                              \
    "<CommonPrefixes><Prefix>m/</Prefix></CommonPrefixes></ListBucketResult>"
    struct obs_list l;
    marker_is(PAGE(""), "m/");
    marker_is(PAGE("<NextMarker></NextMarker>"), "m/");
    marker_is(PAGE("<NextMarker>n</NextMarker>"), "n");
    /* A marker before the last entry would make the listing endless. */
    marker_is(PAGE("<NextMarker>a</NextMarker>"), "m/");
    /* Not encoded although all else is. */
    marker_is("<ListBucketResult><IsTruncated>TRUE</IsTruncated><EncodingType>url</EncodingType>"
              "<NextMarker>k+1</NextMarker><Contents><Key>k%2B1</Key><Size>0</Size></Contents>"
              "</ListBucketResult>",
              "k+1");
    assert_int_equal(
        list("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", &l), -EBADMSG);
}

static void test_list_broken(void **state)
{
    static const char *const bad[] = {
        "",
        "   ",
        "<html><body>proxy</body></html>",
        "<ListBucketResult>",
        "<ListBucketResult></ListBucketResul>",
        "<ListBucketResult/><x/>",
        "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>k</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>k</Key><Size>1e3</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>k</Key><Size/></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>k</Key><Size>99999999999999999999</Size></Contents>"
        "</ListBucketResult>",
        "<ListBucketResult><Contents><Key>&undefined;</Key><Size>1</Size></Contents>"
        "</ListBucketResult>",
        "<ListBucketResult><Contents><Key>\x01</Key><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>&#0;</Key><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>\xff</Key><Size>1</Size></Contents></ListBucketResult>",
        "<!DOCTYPE ListBucketResult><ListBucketResult/>",
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><ListBucketResult><Name>&b;"
        "</Name></ListBucketResult>",
        "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><ListBucketResult/>",
        "<ListBucketResult><a><b><c><d><e><f><g><h><i><j><k><l><m><n><o><p/></o></n></m></l></k>"
        "</j></i></h></g></f></e></d></c></b></a></ListBucketResult>",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct obs_list l;
        struct err err = {0};
        int rc = xml_parse_list(bad[i], strlen(bad[i]), &l, NULL, &err);
        if (rc != -EBADMSG || !err.msg[0] || l.n || l.v)
            fail_msg("%d (%s): %s", rc, err.msg, bad[i]);
    }
}

static void test_list_bounds(void **state)
{
    CLEANUP_BUF struct buf text = BUF_INIT(XML_BODY_MAX + 100);
    struct obs_list l;

    buf_adds(&text, "<ListBucketResult>");
    for (int i = 0; i < XML_ENTRIES_MAX; i++)
        buf_addf(&text, "<Contents><Key>%05d</Key><Size>1</Size></Contents>", i);
    size_t before = text.n;
    buf_adds(&text, "</ListBucketResult>");
    assert_int_equal(list(buf_str(&text), &l), 0);
    assert_int_equal(l.n, XML_ENTRIES_MAX);
    obs_list_clear(&l);
    text.n = before;
    buf_adds(&text, "<Contents><Key>x</Key><Size>1</Size></Contents></ListBucketResult>");
    assert_int_equal(list(buf_str(&text), &l), -EBADMSG);

    buf_reset(&text);
    buf_adds(&text, "<ListBucketResult><Contents><Size>1</Size><Key>");
    while (text.n < OBS_KEY_MAX + 48)
        buf_addc(&text, 'k');
    buf_adds(&text, "</Key></Contents></ListBucketResult>");
    assert_int_equal(list(buf_str(&text), &l), 1); /* one byte too long for a key */
    assert_int_equal(l.n, 0);
    obs_list_clear(&l);

    buf_reset(&text);
    buf_adds(&text, "<ListBucketResult><Name>");
    while (text.n < XML_TEXT_MAX + 30)
        buf_addc(&text, 'k');
    buf_adds(&text, "</Name></ListBucketResult>");
    assert_int_equal(list(buf_str(&text), &l), -EBADMSG);

    while (text.n <= XML_BODY_MAX)
        buf_adds(&text, "                                                                ");
    assert_int_equal(list(buf_str(&text), &l), -EBADMSG);
}

/* An Error in a 200 is seen by every reader. */
static void test_error_inside(void **state)
{
    struct obs_list l;
    struct obs_parts parts;
    char text[64];
    const char *body = NO_SUCH_KEY;
    size_t n = strlen(body);
    for (int i = 0; i < 6; i++) {
        struct xml_fault f = {0};
        struct err err = {0};
        int rc = i == 0   ? xml_parse_list(body, n, &l, &f, &err)
                 : i == 1 ? xml_parse_uploads(body, n, &l, &f, &err)
                 : i == 2 ? xml_parse_delete(body, n, &l, &f, &err)
                 : i == 3 ? xml_parse_parts(body, n, &parts, &f, &err)
                 : i == 4 ? xml_parse_initiate(body, n, text, sizeof(text), &f, &err)
                          : xml_parse_etag(body, n, text, sizeof(text), NULL, &f, &err);
        assert_int_equal(rc, -EREMOTEIO);
        assert_string_equal(f.code, "NoSuchKey");
        assert_string_equal(f.message, "The key does not exist.");
        assert_string_equal(f.request_id, "0001");
        assert_string_equal(f.endpoint, "obs.x");
        assert_non_null(strstr(err.msg, "NoSuchKey"));
    }
}

static void test_acl(void **state)
{
    static const struct obs_grant grants[] = {{"a<b", "READ"}, {NULL, "READ"}};
    CLEANUP_BUF struct buf out = BUF_INIT(4096);
    struct obs_acl acl;
    assert_int_equal(xml_build_acl(&out, "me&", grants, 2), 0);
    assert_string_equal(
        buf_str(&out),
        "<AccessControlPolicy><Owner><ID>me&amp;</ID></Owner><AccessControlList>"
        "<Grant><Grantee><ID>me&amp;</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>"
        "<Grant><Grantee><ID>a&lt;b</ID></Grantee><Permission>READ</Permission></Grant>"
        "<Grant><Grantee><Canned>Everyone</Canned></Grantee><Permission>READ</Permission></Grant>"
        "</AccessControlList></AccessControlPolicy>");
    assert_int_equal(xml_parse_acl(out.p, out.n, &acl, NULL, NULL), 0);
    assert_string_equal(acl.owner, "me&");
    assert_int_equal(acl.n, 3);
    assert_string_equal(acl.v[1].id, "a<b");
    assert_string_equal(acl.v[1].permission, "READ");
    assert_true(acl.v[2].everyone && !acl.v[2].id && !acl.v[1].everyone);
    obs_acl_clear(&acl);
    const char *text = "<AccessControlPolicy><Owner/></AccessControlPolicy>";
    assert_int_equal(xml_parse_acl(text, strlen(text), &acl, NULL, NULL), -EBADMSG);
    assert_int_equal(acl.n, 0);
}

/* As S3 writes it, permission first; a group that is not everyone; no grantee at all. */
static void test_acl_s3(void **state)
{
    static const char text[] =
        "<AccessControlPolicy xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>me</ID>"
        "<DisplayName>My</DisplayName></Owner><AccessControlList>"
        "<Grant><Permission>FULL_CONTROL</Permission><Grantee><ID>me</ID></Grantee></Grant>"
        "<Grant><Grantee><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>"
        "<Permission>READ</Permission></Grant>"
        "<Grant><Grantee><URI>http://acs.amazonaws.com/groups/global/AuthenticatedUsers</URI>"
        "</Grantee><Permission>READ</Permission></Grant>"
        "<Grant><Grantee/><Permission>READ</Permission></Grant><Grant/>"
        "</AccessControlList></AccessControlPolicy>";
    struct obs_acl acl;
    assert_int_equal(xml_parse_acl(text, strlen(text), &acl, NULL, NULL), 0);
    assert_int_equal(acl.n, 4);
    assert_string_equal(acl.v[0].id, "me");
    assert_string_equal(acl.v[0].permission, "FULL_CONTROL");
    assert_true(acl.v[1].everyone);
    for (size_t i = 2; i < 4; i++)
        assert_true(!acl.v[i].everyone && !acl.v[i].id);
    obs_acl_clear(&acl);

    CLEANUP_BUF struct buf many = BUF_INIT(1 << 20);
    buf_adds(&many, "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList>");
    for (int i = 0; i <= XML_RIGHTS_MAX; i++)
        buf_adds(&many, "<Grant><Permission>READ</Permission></Grant>");
    buf_adds(&many, "</AccessControlList></AccessControlPolicy>");
    assert_int_equal(xml_parse_acl(many.p, many.n, &acl, NULL, NULL), -EBADMSG);
}

static void test_parse_error(void **state)
{
    struct xml_fault f;
    const char *body = NO_SUCH_KEY;
    assert_int_equal(xml_parse_error(body, strlen(body), &f), 0);
    assert_string_equal(f.code, "NoSuchKey");
    assert_int_equal(xml_parse_error("", 0, &f), -EBADMSG);
    assert_int_equal(xml_parse_error("<a/>", 4, &f), -EBADMSG);
    assert_int_equal(xml_parse_error("<Error/>", 8, &f), 0);
    assert_string_equal(f.code, "");
    assert_string_equal(f.message, "");
}

static void test_parts(void **state)
{
    struct obs_parts p;
    const char *text =
        HEAD "<ListPartsResult" NS "><Bucket>b</Bucket><Key>k</Key><UploadId>U</UploadId>"
             "<PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>3</NextPartNumberMarker>"
             "<IsTruncated>true</IsTruncated>"
             "<Part><PartNumber>1</PartNumber><LastModified>2024-10-15T07:20:09.000Z</LastModified>"
             "<ETag>\"aa\"</ETag><Size>9437184</Size></Part>"
             "<Part><PartNumber>3</PartNumber><ETag>bb</ETag><Size>0</Size></Part>"
             "</ListPartsResult>";
    assert_int_equal(xml_parse_parts(text, strlen(text), &p, NULL, NULL), 0);
    assert_int_equal(p.n, 2);
    assert_int_equal(p.v[0].part_no, 1);
    assert_true(p.v[0].size == 9437184);
    assert_string_equal(p.v[0].etag, "aa");
    assert_int_equal(p.v[1].part_no, 3);
    assert_true(p.truncated);
    assert_int_equal(p.next_marker, 3);
    obs_parts_clear(&p);

    static const char *const bad[] = {
        "<ListPartsResult><Part><PartNumber>0</PartNumber><ETag>a</ETag><Size>1</Size></Part>"
        "</ListPartsResult>",
        "<ListPartsResult><Part><PartNumber>10001</PartNumber><ETag>a</ETag><Size>1</Size></Part>"
        "</ListPartsResult>",
        "<ListPartsResult><Part><PartNumber>1</PartNumber><Size>1</Size></Part></ListPartsResult>",
        "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></ListPartsResult>",
        "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(xml_parse_parts(bad[i], strlen(bad[i]), &p, NULL, NULL), -EBADMSG);

    /* The marker is missing: the last part. */
    text = "<ListPartsResult><IsTruncated>true</IsTruncated><Part><PartNumber>7</PartNumber>"
           "<ETag>a</ETag><Size>1</Size></Part></ListPartsResult>";
    assert_int_equal(xml_parse_parts(text, strlen(text), &p, NULL, NULL), 0);
    assert_int_equal(p.next_marker, 7);
    obs_parts_clear(&p);
}

static void test_uploads(void **state)
{
    struct obs_list l;
    const char *text =
        HEAD "<ListMultipartUploadsResult" NS "><Bucket>b</Bucket><KeyMarker/><UploadIdMarker/>"
             "<NextKeyMarker>a%20b</NextKeyMarker><NextUploadIdMarker>U2</NextUploadIdMarker>"
             "<IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>"
             "<Upload><Key>a%20b</Key><UploadId>U1</UploadId><Initiator><ID>i</ID></Initiator>"
             "<Initiated>2024-10-15T07:20:09.000Z</Initiated></Upload>"
             "<Upload><Key>a%20b</Key><UploadId>U2</UploadId></Upload>"
             "</ListMultipartUploadsResult>";
    assert_int_equal(xml_parse_uploads(text, strlen(text), &l, NULL, NULL), 0);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.v[0].key, "a b");
    assert_string_equal(l.v[0].upload_id, "U1");
    assert_true(l.v[0].mtime_ms == 1728976809000);
    assert_string_equal(l.v[1].upload_id, "U2");
    assert_string_equal(l.next_marker, "a b");
    assert_string_equal(l.next_upload_id_marker, "U2");
    obs_list_clear(&l);

    text = "<ListMultipartUploadsResult><Upload><Key>a</Key></Upload></ListMultipartUploadsResult>";
    assert_int_equal(xml_parse_uploads(text, strlen(text), &l, NULL, NULL), -EBADMSG);
}

static void test_delete(void **state)
{
    struct obs_list l;
    const char *text = HEAD "<DeleteResult" NS "><EncodingType>url</EncodingType>"
                            "<Deleted><Key>ok</Key></Deleted>"
                            "<Error><Key>a%2Fb</Key><Code>AccessDenied</Code><Message>no</Message>"
                            "</Error><Error><Key>c</Key></Error></DeleteResult>";
    assert_int_equal(xml_parse_delete(text, strlen(text), &l, NULL, NULL), 0);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.v[0].key, "a/b");
    assert_string_equal(l.v[0].code, "AccessDenied");
    assert_string_equal(l.v[0].message, "no");
    assert_string_equal(l.v[1].code, "");
    obs_list_clear(&l);
    assert_int_equal(xml_parse_delete("<DeleteResult/>", 15, &l, NULL, NULL), 0);
    assert_int_equal(l.n, 0);
    obs_list_clear(&l);
}

static void test_single(void **state)
{
    char out[64];
    int64_t ms;
    const char *text = HEAD "<InitiateMultipartUploadResult" NS "><Bucket>b</Bucket><Key>k</Key>"
                            "<UploadId>00000163D40171ED8DF4050919BD02B8</UploadId>"
                            "</InitiateMultipartUploadResult>";
    assert_int_equal(xml_parse_initiate(text, strlen(text), out, sizeof(out), NULL, NULL), 0);
    assert_string_equal(out, "00000163D40171ED8DF4050919BD02B8");
    assert_int_equal(xml_parse_initiate(text, strlen(text), out, 8, NULL, NULL), -EBADMSG);
    text = "<InitiateMultipartUploadResult/>";
    assert_int_equal(xml_parse_initiate(text, strlen(text), out, sizeof(out), NULL, NULL),
                     -EBADMSG);

    text = "<CopyObjectResult><LastModified>2024-10-15T07:20:09.500Z</LastModified>"
           "<ETag>\"abc\"</ETag></CopyObjectResult>";
    assert_int_equal(xml_parse_etag(text, strlen(text), out, sizeof(out), &ms, NULL, NULL), 0);
    assert_string_equal(out, "abc");
    assert_true(ms == 1728976809500);
    text = "<CompleteMultipartUploadResult><Location>l</Location><ETag>\"d-3\"</ETag>"
           "</CompleteMultipartUploadResult>";
    assert_int_equal(xml_parse_etag(text, strlen(text), out, sizeof(out), &ms, NULL, NULL), 0);
    assert_string_equal(out, "d-3");
    assert_true(ms == 0);
    /* 200 without an ETag: not carried out. */
    text = "<CopyPartResult><LastModified>2024-10-15T07:20:09Z</LastModified></CopyPartResult>";
    assert_int_equal(xml_parse_etag(text, strlen(text), out, sizeof(out), NULL, NULL, NULL),
                     -EBADMSG);
}

static void test_build(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(4096);
    const char *keys[] = {"a/b.txt", "c"};
    assert_int_equal(xml_build_delete(&b, keys, 2), 0);
    assert_string_equal(buf_str(&b),
                        "<Delete><Quiet>true</Quiet><Object><Key>a/b.txt</Key></Object>"
                        "<Object><Key>c</Key></Object></Delete>");
    buf_reset(&b);
    keys[0] = "<&>\t\n\xc3\xa9\xf0\x9f\x98\x80";
    assert_int_equal(xml_build_delete(&b, keys, 1), 0);
    assert_non_null(
        strstr(buf_str(&b), "<Key>&lt;&amp;&gt;&#9;&#10;\xc3\xa9\xf0\x9f\x98\x80</Key>"));

    static const char *const bad[] = {"\x01",
                                      "a\r",
                                      "\xff",
                                      "\xc3",
                                      "\xc0\x80",
                                      "\xed\xa0\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xef\xbf\xbf",
                                      "\xe0\x80\x80"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        buf_reset(&b);
        if (xml_build_delete(&b, &bad[i], 1) != -EILSEQ)
            fail_msg("key %zu taken", i);
    }

    const struct obs_part parts[] = {{.part_no = 1, .etag = "aa"}, {.part_no = 3, .etag = "bb"}};
    const struct obs_part wrong[] = {{.part_no = 3, .etag = "aa"}, {.part_no = 3, .etag = "bb"}};
    buf_reset(&b);
    assert_int_equal(xml_build_complete(&b, parts, 2), 0);
    assert_string_equal(buf_str(&b), "<CompleteMultipartUpload>"
                                     "<Part><PartNumber>1</PartNumber><ETag>aa</ETag></Part>"
                                     "<Part><PartNumber>3</PartNumber><ETag>bb</ETag></Part>"
                                     "</CompleteMultipartUpload>");
    assert_int_equal(xml_build_complete(&b, wrong, 2), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),         cmocka_unit_test(test_several_prefixes),
        cmocka_unit_test(test_list_encoded), cmocka_unit_test(test_next_marker),
        cmocka_unit_test(test_list_broken),  cmocka_unit_test(test_list_bounds),
        cmocka_unit_test(test_error_inside), cmocka_unit_test(test_acl),
        cmocka_unit_test(test_acl_s3),       cmocka_unit_test(test_parse_error),
        cmocka_unit_test(test_parts),        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_delete),       cmocka_unit_test(test_single),
        cmocka_unit_test(test_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
