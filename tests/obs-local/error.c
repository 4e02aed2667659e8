// SPDX-License-Identifier: Apache-2.0
/* The service's error codes, see server.h. Source: OBS API, error codes. */
#include "tests/obs-local/server.h"

#include <string.h>

static const struct {
    const char *code;
    int status;
    const char *message;
} table[] = {
    {"AccessDenied", 403, "Access Denied"},
    {"BadDigest", 400, "The Content-MD5 you specified did not match what we received."},
    {"BucketAlreadyOwnedByYou", 409, "Your previous request to create the bucket succeeded."},
    {"BucketNotEmpty", 409, "The bucket you tried to delete is not empty."},
    {"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed object size."},
    {"EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size."},
    {"ExpiredToken", 403, "The provided token has expired."},
    {"FsNotSupport", 405, "The operation is only supported by a parallel file system."},
    {"IncompleteBody", 400, "The request body is shorter than its Content-Length says."},
    {"InternalError", 500, "We encountered an internal error. Please try again."},
    {"InvalidAccessKeyId", 403, "The access key Id you provided does not exist in our records."},
    {"InvalidArgument", 400, "Invalid Argument"},
    {"InvalidBucketName", 400, "The specified bucket is not valid."},
    {"InvalidDigest", 400, "The Content-MD5 you specified is not valid."},
    {"InvalidObjectState", 403, "The operation is not valid for the object's storage class."},
    {"InvalidPart", 400, "One or more of the specified parts could not be found."},
    {"InvalidPartOrder", 400, "The list of parts was not in ascending order."},
    {"InvalidRange", 416, "The requested range cannot be satisfied."},
    {"InvalidRequest", 400, "Invalid Request"},
    {"InvalidToken", 403, "The provided token is malformed or otherwise not valid."},
    {"KeyTooLongError", 400, "Your key is too long."},
    {"MalformedXML", 400, "The XML you provided was not well-formed or not as expected."},
    {"MaxMessageLengthExceeded", 400, "Your request was too big."},
    {"MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size."},
    {"MethodNotAllowed", 405, "The specified method is not allowed against this resource."},
    {"MissingContentLength", 411, "You must provide the Content-Length HTTP header."},
    {"NoSuchBucket", 404, "The specified bucket does not exist."},
    {"NoSuchKey", 404, "The specified key does not exist."},
    {"NoSuchUpload", 404, "The specified multipart upload does not exist."},
    {"NotImplemented", 501, "A header or query you provided implies what is not implemented."},
    {"PreconditionFailed", 412, "At least one of the preconditions did not hold."},
    {"RequestTimeTooSkewed", 403,
     "The difference between the request time and the current time is too large."},
    {"RequestTimeout", 408, "The socket was not read from or written to in time."},
    {"ServiceUnavailable", 503, "Reduce your request rate."},
    {"SignatureDoesNotMatch", 403,
     "The request signature we calculated does not match the signature you provided."},
    {"SlowDown", 503, "Please reduce your request rate."},
    {"TooManyRequests", 429, "Too many requests."},
    {"XAmzContentSHA256Mismatch", 400,
     "The provided x-amz-content-sha256 header does not match what was computed."},
};

int error_status(const char *code)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].code, code) == 0)
            return table[i].status;
    }
    return 400;
}

const char *error_message(const char *code)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].code, code) == 0)
            return table[i].message;
    }
    return code;
}
