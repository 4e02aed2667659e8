#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# props.sh - properties of objects: by option, by directory, by file; before and after it is stored.

get() { getfattr --absolute-names --only-values -n "user.obs.$2" "$M/$1"; }
set_() { setfattr -n "user.obs.$2" -v "$3" "$M/$1"; }
unset_() { setfattr -x "user.obs.$2" "$M/$1"; }

# refused ERRNO-TEXT CMD..
refused() {
    local why=$1 out
    shift
    out=$("$@" 2>&1) && fail "$* succeeded"
    [[ $out == *"$why"* ]] || fail "$*: $out, not: $why"
}

# last OP KEY HEADER..: what the last of these requests said
last() { oc sent "$@"; }

# each property, its value, and the header that carries it
all_properties() {
    cat <<'END'
acl public-read x-obs-acl
grant.read id=account1,id=account2 x-obs-grant-read
grant.read_acp id=account1 x-obs-grant-read-acp
grant.write_acp id=account1 x-obs-grant-write-acp
grant.full_control id=account3 x-obs-grant-full-control
content_type application/x-test content-type
storage_class WARM x-obs-storage-class
website_redirect_location /other.html x-obs-website-redirect-location
expires 7 x-obs-expires
meta.owner jane x-obs-meta-owner
header.cache-control no-store cache-control
header.x-obs-tagging a=1 x-obs-tagging
END
}

arrived() { # OP KEY
    local headers
    mapfile -t headers < <(all_properties | cut -d ' ' -f 3)
    check_eq "headers of $1 $2" "$(last "$1" "$2" "${headers[@]}")" "$(all_properties | cut -d ' ' -f 2)"
}

reads_back() { # FILE
    local name value header
    while read -r name value header; do
        check_eq "$name of $1" "$(get "$1" "$name")" "$value"
    done < <(all_properties)
}

set_all() { # FILE
    local name value header
    while read -r name value header; do
        check "set $name" set_ "$1" "$name" "$value"
    done < <(all_properties)
}

# arrives_at_last OP KEY: such a request was answered
arrives_at_last() {
    for _ in $(seq 600); do
        oc log "$1" | cut -f 2 | grep -qxF "$2" && return
        sleep 0.05
    done
    fail "no $1 of $2"
}

# kept_upload FILE: its writer was killed when parts of it were stored
kept_upload() {
    local writer fd
    mkfifo "$T/pipe"
    cat "$T/pipe" >"$M/$1" &
    writer=$!
    exec {fd}>"$T/pipe"
    head -c $((3 * part_size)) /dev/zero >&"$fd"
    arrives_at_last UploadPart "$1"
    kill -9 "$writer"
    wait "$writer" 2>/dev/null
    exec {fd}>&-
    rm "$T/pipe"
}

# control_id FILE: of its upload, once it is listed
control_id() {
    local id
    for _ in $(seq 600); do
        id=$(python3 -c 'import json, sys; print(*[u["id"] for u in json.load(sys.stdin)["uploads"] if u["path"] == sys.argv[1]])' \
            "$1" <"$M/.obsmount/uploads.json" 2>/dev/null)
        [ -z "$id" ] || break
        sleep 0.05
    done
    echo "$id"
}

# A directory's settings are what new files below it get, over a remount too.
t_directory_defaults() {
    mkdir -p "$M/d/e" "$M/other"
    set_all d
    reads_back d
    set_ d/e storage_class COLD
    remount
    reads_back d
    echo x >"$M/d/f"
    arrived PutObject d/f
    reads_back d/f
    make_file "$T/large" $((2 * part_size))
    cp "$T/large" "$M/d/large"
    arrived InitiateMultipartUpload d/large
    echo x >"$M/d/e/f"
    check_eq "nearest" "$(last PutObject d/e/f x-obs-storage-class)" COLD
    check_eq "inherited" "$(last PutObject d/e/f x-obs-acl)" public-read
    echo x >"$M/other/f"
    check_eq "elsewhere" "$(last PutObject other/f x-obs-acl)" -
    check_eq "the marker itself" "$(last PutObject d/ x-obs-acl)" -
    unset_ d acl
    remount
    refused "No such attribute" get d acl
    echo x >"$M/d/g"
    check_eq "taken away" "$(last PutObject d/g x-obs-acl)" -
    check_eq "the rest" "$(last PutObject d/g x-obs-storage-class)" WARM
}

# Before the upload they go along with it, without a request of their own.
t_before_the_upload() {
    local fd name value header
    exec {fd}>"$M/f"
    oc reset
    set_all f
    reads_back f
    check_eq "requests" "$(requests PutObject SetObjectMetadata SetObjectAcl)" 0
    echo x >&"$fd"
    exec {fd}>&-
    arrived PutObject f
    check_eq "requests of the file" "$(requests PutObject SetObjectMetadata SetObjectAcl)" 1
    remount
    reads_back f
}

# What is written anew has them again.
t_written_again() {
    local fd
    exec {fd}>"$M/f"
    set_all f
    exec {fd}>&-
    remount
    oc reset
    echo longer >"$M/f"
    arrived PutObject f
    make_file "$T/large" $((2 * part_size))
    cat "$T/large" >"$M/f"
    arrived InitiateMultipartUpload f
    remount
    reads_back f
}

t_options() {
    remount "acl=public-read,grant_read=id=account1\\,id=account2,grant_read_acp=id=account1,grant_write_acp=id=account1,grant_full_control=id=account3,content_type=application/x-test,storage_class=WARM,website_redirect_location=/other.html,expires=7,meta=Owner:jane,header=x-obs-tagging:a=1,header=cache-control:no-store"
    echo x >"$M/f"
    arrived PutObject f
    ln -s f "$M/link"
    check_eq "access to a link" "$(last PutObject link x-obs-acl)" public-read
    check_eq "class of a link" "$(last PutObject link x-obs-storage-class)" -
    remount
    check_eq "acl" "$(get f acl)" public-read
    check_eq "metadata" "$(get f meta.owner)" jane
    check_eq "content" "$(cat "$M/link")" x
}

# Headers go along with the end of an upload too, but those that would tell of its own body.
t_headers_at_the_end() {
    grep -q OBSM_COPY_MAX "$OBSMOUNT" || skip "the driver was built without OBSM_TEST_HOOKS"
    local fd id names=(x-obs-tagging cache-control x-obs-of-mount content-encoding content-language)
    leave
    OBSM_COPY_MAX=$part_size OBSM_COPY_PART=$part_size mounted_with \
        "header=x-obs-of-mount:m,header=x-obs-tagging:mount,header=content-language:de"
    mkdir "$M/d"
    set_ d header.x-obs-tagging a=1
    set_ d header.cache-control no-store
    set_ d header.content-encoding identity
    make_file "$T/large" $((2 * part_size))
    cp "$T/large" "$M/d/f"
    check_eq "begin" "$(last InitiateMultipartUpload d/f "${names[@]}" | xargs)" "a=1 no-store m identity de"
    check_eq "complete" "$(last CompleteMultipartUpload d/f "${names[@]}" | xargs)" "a=1 no-store m - -"
    mv "$M/d/f" "$M/d/g"
    check_eq "complete of a copy" "$(last CompleteMultipartUpload d/g "${names[@]}" | xargs)" "a=1 no-store m - -"

    oc faults '[{"operation":"CopyPart","key":"d/h","status":403,"code":"AccessDenied","count":-1}]'
    refused "Permission denied" mv "$M/d/g" "$M/d/h"
    check_eq "abort of a copy" "$(last AbortMultipartUpload d/h "${names[@]}" | xargs)" "a=1 no-store m - -"
    oc faults '[]'

    exec {fd}>"$M/d/gone"
    cat "$T/large" >&"$fd"
    arrives_at_last UploadPart d/gone
    rm "$M/d/gone"
    exec {fd}>&-
    arrives_at_last AbortMultipartUpload d/gone
    check_eq "abort" "$(last AbortMultipartUpload d/gone "${names[@]}" | xargs)" "a=1 no-store m - -"

    oc reset
    kept_upload d/kept
    remount
    id=$(control_id /d/kept)
    echo "abort $id" >"$M/.obsmount/ctl"
    arrives_at_last AbortMultipartUpload d/kept
    check_eq "abort of a kept one" "$(last AbortMultipartUpload d/kept "${names[@]}" | xargs)" "a=1 no-store - - -"
}

tx_bad_options() {
    local option
    service_start
    M=$T/m
    for option in acl=public-read-delivered storage_class=warm expires=x grant_read=x meta=mode:1 content_type=x; do
        mkdir -p "$M"
        "$OBSMOUNT" bkt "$M" -o "endpoint=http://localhost:$OBS_PORT,credential_file=$T/keys,$option" 2>"$T/err" &&
            fail "$option is taken"
        check "says which" grep -q "option '${option%%=*}=" "$T/err"
    done
}

# They are not listed: a copy by cp -a or rsync does not carry them along.
t_not_carried_along() {
    echo x >"$M/f"
    setfattr -n user.color -v green "$M/f"
    set_ f meta.owner jane
    check_eq "listed" "$(getfattr --absolute-names -d "$M/f" | grep -c '^user\.')" 1
    cp -a "$M/f" "$T/f"
    cp -a "$M/f" "$M/g"
    check_eq "color of a copy" "$(getfattr --absolute-names --only-values -n user.color "$M/g")" green
    refused "No such attribute" get g meta.owner
    check_eq "in the bucket" "$(oc head g | grep -c meta-owner)" 0
}

t_refused() {
    mkdir "$M/d"
    echo x >"$M/f"
    refused "Invalid argument" set_ f acl public-read-delivered
    refused "Invalid argument" set_ f grant.write id=x
    refused "Invalid argument" set_ f nothing x
    refused "Invalid argument" set_ d nothing x
    refused "Invalid argument" set_ f etag x
    refused "Invalid argument" set_ f dir_markers off
    refused "Invalid argument" set_ d part_size 1K
    refused "No such attribute" get f nothing
    check_eq "acl of a file that nobody gave one" "$(get f acl)" private
    refused "No such attribute" get f grant.read
    refused "No such attribute" get d acl
    refused "No such attribute" unset_ f acl
    refused "No such attribute" unset_ f meta.x
    refused "not supported" set_ f success_action_redirect http://example.com/
    refused "No space left" set_ f meta.large "$(head -c 8100 /dev/zero | tr '\0' a)"
    check "says why" grep -q "delivered' is for buckets" "$M/.obsmount/errors"
    check_eq "unchanged" "$(get f storage_class)" STANDARD
}

# On a stored object: in place, without sending its content.
t_after_the_upload() {
    local name value header etag
    make_file "$M/f" 5000
    etag=$(get f etag)
    oc reset
    while read -r name value header; do
        case $name in
        header.x-obs-tagging) refused "not supported" set_ f "$name" "$value" ;;
        *) check "set $name" set_ f "$name" "$value" ;;
        esac
    done < <(all_properties)
    check_eq "content was sent" "$(requests PutObject CopyObject)" 0
    oc acl f >"$T/acl"
    check_eq "rights there" "$(grep -o '<Grantee>.*</Permission>' "$T/acl" | sed 's/<[^>]*>/ /g' | xargs)" \
        "obs-local FULL_CONTROL account1 READ account2 READ account1 READ_ACP account1 WRITE_ACP account3 FULL_CONTROL Everyone READ"
    oc head f >"$T/head"
    local line
    for line in "content-type: application/x-test" "x-obs-storage-class: WARM" "cache-control: no-store" \
        "x-obs-website-redirect-location: /other.html" "x-obs-meta-owner: jane"; do
        check "$line" grep -qi "^$line" "$T/head"
    done
    oc reset
    check "replaced" set_ f meta.owner joe
    check_eq "by one request" "$(requests SetObjectMetadata PutObject CopyObject)" 1
    check "chmod" chmod 600 "$M/f"
    check "taken away" unset_ f meta.owner
    check "the type too" unset_ f content_type
    check "private again" unset_ f acl
    for name in read read_acp write_acp full_control; do check "no grant" unset_ f "grant.$name"; done
    check "private there" test "$(oc acl f | grep -c Everyone)" = 0
    refused "not supported" unset_ f storage_class
    refused "not supported" unset_ f expires
    remount
    refused "No such attribute" get f meta.owner
    check_eq "acl" "$(get f acl)" private
    check_eq "what was not named" "$(get f website_redirect_location) $(get f storage_class) $(get f expires)" "/other.html WARM 7"
    check_eq "type by suffix" "$(get f content_type)" application/octet-stream
    check_eq "mode" "$(stat -c %a "$M/f")" 600
    check_eq "same content" "$(get f etag)" "$etag"
}

# S3 changes an object only by a copy onto itself, which has to say everything again.
t_after_the_upload_s3() {
    leave
    dialect=s3 part_size=5242880
    mounted_with
    make_file "$T/local" 5000
    cp "$T/local" "$M/f"
    set_ f storage_class WARM
    set_ f acl public-read
    set_ f meta.owner jane
    oc reset
    chmod 640 "$M/f"
    sync -f "$M"
    python3 -c 'import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDONLY))' "$M/f"
    check_eq "one copy" "$(requests CopyObject PutObject)" 1
    check_eq "says all" "$(last CopyObject f x-amz-acl x-amz-storage-class x-amz-meta-owner | xargs)" \
        "public-read STANDARD_IA jane"
    check "acl there" grep -q Everyone <<<"$(oc acl f)"
    unset_ f meta.owner
    refused "not supported" set_ f header.x-amz-tagging a=1
    remount
    check_eq "back" "$(get f acl) $(get f storage_class)" "public-read WARM"
    refused "No such attribute" get f meta.owner
    check "content" cmp "$T/local" "$M/f"
}

# Dialect s3 takes a canned list or grants, never both, and grants without the owner shut him out: what
# acl says becomes a grant, and the owner gets one.
tx_s3_grants() {
    local list='<AccessControlPolicy><Owner><ID>other</ID></Owner><AccessControlList/></AccessControlPolicy>'
    dialect=s3 part_size=5242880
    service_start
    mounted_with "acl=private,grant_read=id=a\\,id=b"
    make_file "$T/local" 5000
    cp "$T/local" "$M/f"
    check_eq "without acl" "$(last PutObject f x-amz-acl x-amz-grant-read x-amz-grant-full-control | xargs)" \
        "- id=a,id=b id=obs-local"
    set_ f acl public-read
    check_eq "as a grant" "$(last CopyObject f x-amz-acl x-amz-grant-read | xargs)" "- id=a,id=b,$everyone"
    set_ f grant.full_control id=c,id=obs-local
    check_eq "named by the user" "$(last CopyObject f x-amz-grant-full-control)" "id=c,id=obs-local"
    mkdir "$M/d"
    set_ d acl bucket-owner-full-control
    make_file "$T/large" $((2 * part_size + 1))
    cp "$T/large" "$M/d/large"
    check_eq "in parts" "$(last InitiateMultipartUpload d/large x-amz-acl x-amz-grant-read x-amz-grant-full-control | xargs)" \
        "- id=a,id=b id=obs-local"
    mv "$M/f" "$M/d/g"
    remount
    check_eq "shown" "$(get d/g acl) $(get d/g grant.read) $(get d/g grant.full_control)" "public-read id=a,id=b id=c"
    check "content" cmp "$T/local" "$M/d/g"
    check "content of parts" cmp "$T/large" "$M/d/large"
    check_eq "asked once" "$(requests GetBucketAcl)" 1
    unset_ d/g grant.full_control
    unset_ d/g grant.read
    check_eq "canned again" "$(last CopyObject d/g x-amz-acl x-amz-grant-read | xargs)" "public-read -"

    oc faults '[{"operation":"GetBucketAcl","count":-1,"status":403,"code":"AccessDenied"}]'
    remount grant_read=id=a
    echo x >"$M/h"
    check_eq "owner not told" "$(last PutObject h x-amz-grant-read x-amz-grant-full-control | xargs)" "id=a -"
    check "said so" grep -q "the bucket's owner is not known" "$T/mount.log"
    oc faults '[]'
    oc set-acl "" <<<"$list"
    remount grant_read=id=a
    echo x >"$M/i"
    check_eq "another owner" "$(last PutObject i x-amz-grant-full-control)" id=other
}

# The service says no: the errno tells, and what is shown is what holds.
t_service_refuses() {
    echo x >"$M/f"
    oc faults '[{"operation":"SetObjectMetadata","key":"f","status":403,"code":"AccessDenied"}]'
    refused "Permission denied" set_ f meta.owner jane
    oc faults '[{"operation":"SetObjectAcl","key":"f","status":403,"code":"AccessDenied"}]'
    refused "Permission denied" set_ f acl public-read
    oc faults '[]'
    refused "No such attribute" get f meta.owner
    check_eq "acl" "$(get f acl)" private
    check "says which right" grep -q "PutObjectAcl" "$M/.obsmount/errors"
}

# A file whose upload has begun: it begins anew with the property.
t_while_it_is_uploaded() {
    local fd
    make_file "$T/local" $((3 * part_size))
    exec {fd}>"$M/f"
    head -c $((2 * part_size)) "$T/local" >&"$fd"
    for _ in $(seq 200); do
        [ "$(requests UploadPart)" != 0 ] && break
        sleep 0.05
    done
    set_ f acl public-read
    set_ f meta.owner jane
    tail -c "$part_size" "$T/local" >&"$fd"
    exec {fd}>&-
    check_eq "acl" "$(last InitiateMultipartUpload f x-obs-acl x-obs-meta-owner | xargs)" "public-read jane"
    check "acl there" grep -q Everyone <<<"$(oc acl f)"
    check_eq "left over" "$(oc uploads)" ""
    check "content" cmp "$T/local" "$M/f"
    remount
    check_eq "acl back" "$(get f acl) $(get f meta.owner)" "public-read jane"
}

# WHO WHAT ..., sorted
rights() { oc acl "$1" | grep -o '<Grantee.*</Permission>' | sed 's/<.Grant>/\n/g; s/<[^>]*>/ /g' | sort -b | xargs; }

everyone=uri=http://acs.amazonaws.com/groups/global/AllUsers

# What another tool has made of the rights is shown, and goes along with what is written anew.
t_access_of_others() { # s3
    local prefix=x-obs owner="obs-local FULL_CONTROL" sent="public-read id=a,id=b id=c"
    echo x >"$M/f"
    check_eq "at first" "$(get f acl)" private
    oc set-acl f x-obs-acl:public-read x-obs-grant-read:id=a,id=b x-obs-grant-full-control:id=c
    check_eq "shown" "$(get f acl) $(get f grant.read) $(get f grant.full_control)" "public-read id=a,id=b id=c"
    refused "No such attribute" get f grant.read_acp
    [ "$dialect" = obs ] || prefix=x-amz sent="- id=a,id=b,$everyone id=c,id=obs-local"
    oc reset
    echo longer >"$M/f"
    check_eq "sent again" "$(last PutObject f $prefix-acl $prefix-grant-read $prefix-grant-full-control | xargs)" "$sent"
    check_eq "asked again" "$(requests GetObjectAcl)" 0
    remount
    echo "and again" >"$M/f"
    check_eq "kept with it" "$(last PutObject f $prefix-acl $prefix-grant-full-control | xargs)" "${sent%% *} ${sent##* }"
    check_eq "and shown" "$(get f acl) $(get f grant.read) $(get f grant.full_control)" "public-read id=a,id=b id=c"

    oc set-acl f x-obs-acl:private
    check_eq "taken away" "$(get f acl)" private
    refused "No such attribute" get f grant.read
    echo "last time" >"$M/f"
    check_eq "stays so" "$(rights f)" "$owner"
    oc set-acl f x-obs-acl:public-read-write
    check_eq "for all to write" "$(get f acl)" public-read-write
}

# A change of one right leaves those that another tool has given.
t_access_is_added() {
    echo x >"$M/f"
    oc set-acl f x-obs-acl:public-read x-obs-grant-read:id=a
    set_ f grant.read_acp id=b
    check_eq "all of them" "$(rights f)" "Everyone READ a READ b READ_ACP obs-local FULL_CONTROL"
    oc set-acl f x-obs-acl:public-read x-obs-grant-read:id=a
    unset_ f acl
    check_eq "without the one" "$(rights f)" "a READ obs-local FULL_CONTROL"
}

# The copies of a rename have the rights that their sources have at that moment.
t_access_is_moved() { # s3
    local owner="obs-local FULL_CONTROL"
    mkdir "$M/d"
    echo x >"$M/f"
    echo x >"$M/d/a"
    echo x >"$M/d/b"
    set_ d/b acl public-read
    oc set-acl f x-obs-acl:public-read x-obs-grant-read:id=a
    oc set-acl d/a x-obs-grant-write-acp:id=a
    oc set-acl d/b x-obs-acl:private
    mv "$M/f" "$M/g"
    check_eq "file" "$(rights g)" "Everyone READ a READ $owner"
    check_eq "shown" "$(get g acl) $(get g grant.read)" "public-read id=a"
    mv "$M/d" "$M/e"
    check_eq "of a directory" "$(rights e/a)" "a WRITE_ACP $owner"
    check_eq "one that was taken away" "$(rights e/b)" "$owner"
    oc set-acl g x-obs-acl:private
    mv "$M/g" "$M/h"
    check_eq "taken away" "$(rights h)" "$owner"
}

# Who may not read lists can work all the same: what was set here is known.
t_access_is_not_told() {
    mkdir "$M/d"
    echo x >"$M/f"
    echo x >"$M/d/a"
    echo x >"$M/d/b"
    set_ f acl public-read
    set_ d/b acl public-read
    oc faults '[{"operation":"GetObjectAcl","count":-1,"status":403,"code":"AccessDenied"}]'
    refused "Permission denied" get d/a acl
    check "says which right" grep -q "GetObjectAcl" "$M/.obsmount/errors"
    check_eq "known" "$(get f acl)" public-read
    mv "$M/f" "$M/g"
    mv "$M/d" "$M/e"
    oc faults '[]'
    check_eq "moved" "$(rights g)" "Everyone READ obs-local FULL_CONTROL"
    check_eq "moved with its directory" "$(rights e/b)" "Everyone READ obs-local FULL_CONTROL"
    oc faults '[{"operation":"GetObjectAcl","count":-1,"status":501,"code":"NotImplemented"}]'
    mv "$M/g" "$M/f"
    set_ f acl public-read
    refused "not supported" set_ f grant.read id=a
    oc faults '[]'
    check_eq "as it was" "$(rights f)" "Everyone READ obs-local FULL_CONTROL"
}

# A list names the bucket's owner by the id, which the bucket's own list tells.
t_bucket_owner() {
    local list='<AccessControlPolicy><Owner><ID>other</ID></Owner><AccessControlList/></AccessControlPolicy>'
    echo x >"$M/f"
    set_ f acl bucket-owner-full-control
    check_eq "shown" "$(get f acl)" bucket-owner-full-control
    set_ f grant.read id=a
    check_eq "the same account" "$(rights f)" "a READ obs-local FULL_CONTROL"
    oc set-acl "" <<<"$list"
    set_ f grant.read id=b
    check_eq "another one" "$(rights f)" "b READ obs-local FULL_CONTROL other FULL_CONTROL"
    check_eq "still shown" "$(get f acl)" bucket-owner-full-control
    oc faults '[{"operation":"GetBucketAcl","count":-1,"status":403,"code":"AccessDenied"}]'
    refused "Permission denied" set_ f grant.read id=c
    check "says which right" grep -q "GetBucketAcl" "$M/.obsmount/errors"
    check_eq "unchanged" "$(get f grant.read)" id=b
}

# json FILE PROPERTY EXPRESSION: of the JSON that a property is
json() {
    get "$1" "$2" | python3 -c 'import json, sys; r = json.load(sys.stdin); print(eval(sys.argv[1]))' "$3"
}

t_read_only() {
    make_file "$T/large" $((2 * part_size + 5))
    cp "$T/large" "$M/f"
    check_eq "etag" "$(get f etag)" "$(stored_etag f)"
    check_eq "uri" "$(get f uri)" obs://bkt/f
    check "url" test "$(get f url | grep -c "^https://bkt\..*/f$")" = 1
    check_eq "upload" "$(get f upload_id)" "$(oc head f | sed -n 's/^x-obs-uploadid: //Ip')"
    refused "No such attribute" get f version_id
    refused "No such attribute" get f upload
    refused "Invalid argument" set_ f url x
    refused "Operation not permitted" unset_ f etag
}

t_progress() {
    local fd
    exec {fd}>"$M/f"
    oc faults '[{"operation":"UploadPart","count":-1,"rate":100000}]'
    head -c $((2 * part_size)) /dev/zero >&"$fd"
    check_eq "while it is written" "$(json f upload 'r["state"], r["bytes_total"]')" "('writing', None)"
    check "upload id" test -n "$(get f upload_id)"
    oc faults '[]'
    exec {fd}>&-
    refused "No such attribute" get f upload
}

# All that uploadFile returns.
t_result() {
    echo x >"$M/small"
    check_eq "status" "$(json small result 'r["status"], r["reason"]')" "(200, 'OK')"
    check_eq "body" "$(json small result '[r["body"][n] for n in ("etag", "bucket", "key")]')" \
        "['$(stored_etag small)', 'bkt', 'small']"
    check_eq "address" "$(json small result 'r["body"]["objectUrl"]')" "$(get small url)"
    check_eq "request id" "$(json small result 'r["requestId"] == dict(r["header"])["x-obs-request-id"]')" True
    check_eq "no error" "$(json small result '[n for n in r if n.startswith("error")]')" "[]"
    make_file "$T/large" $((2 * part_size))
    cp "$T/large" "$M/large"
    check_eq "of parts" "$(json large result 'r["status"], r["body"]["etag"]')" "(200, '$(stored_etag large)')"
    check "location" test -n "$(json large result 'r["body"]["location"]')"
    oc faults '[{"operation":"PutObject","key":"small","status":403,"code":"AccessDenied","count":-1}]'
    exec 5>>"$M/small"
    echo y >&5
    fails "Permission denied" python3 -c 'import os; os.fsync(5)'
    check_eq "refused" "$(json small result 'r["status"], r["errorCode"], r["resource"], r["body"]')" \
        "(403, 'AccessDenied', '/small', None)"
    oc faults '[]'
    exec 5>&-
}

# 303 is a success; an upload in parts does not know it, and the result says so.
t_redirect_after_success() {
    local fd
    exec {fd}>"$M/f"
    set_ f success_action_redirect http://example.com/done
    echo x >&"$fd"
    exec {fd}>&-
    check_eq "sent" "$(last PutObject f success-action-redirect)" http://example.com/done
    check_eq "status" "$(json f result 'r["status"], r["reason"], r["body"]')" "(303, 'See Other', None)"
    check "location" test "$(json f result 'dict((n.lower(), v) for n, v in r["header"])["location"]' | grep -c "^http://example.com/done?")" = 1
    check_eq "content" "$(oc get f)" x
    make_file "$T/large" $((2 * part_size))
    cat "$T/large" >"$M/f"
    check_eq "not sent" "$(last InitiateMultipartUpload f success-action-redirect)" -
    check_eq "said" "$(json f result 'r["status"], "not sent" in r["note"]')" "(200, True)"
}

t_part_size() {
    mkdir "$M/d"
    set_ d part_size 2M
    remount
    make_file "$T/large" 5000000
    cp "$T/large" "$M/d/f"
    cp "$T/large" "$M/f"
    check_eq "parts of 2 MiB" "$(stored_etag d/f)" "$(oc etag "$T/large" 2097152)"
    check_eq "parts of the mount" "$(stored_etag f)" "$(oc etag "$T/large" "$part_size")"
    echo more >>"$M/d/f"
    echo more >>"$T/large"
    check "content" cmp "$T/large" "$M/d/f"
}

# A data set in which a marker counts as a foreign file.
t_dir_markers() {
    mkdir "$M/set"
    set_ set dir_markers off
    mkdir -p "$M/set/a/b"
    echo x >"$M/set/a/b/f"
    check_eq "objects" "$(oc list | cut -f 1 | xargs)" "set/ set/a/b/f"
    mkdir "$M/other"
    check_eq "elsewhere" "$(oc list other | cut -f 1)" other/
}

# Parts of a killed writer are of use only for a file with the same properties.
t_kept_parts_with_others() {
    local part sent
    make_file "$T/large" $((4 * part_size))
    for part in 1 2; do
        mkfifo "$T/pipe$part"
        cat "$T/pipe$part" >"$M/f$part" &
        local writer=$!
        exec 6>"$T/pipe$part"
        head -c $((3 * part_size)) "$T/large" >&6
        for _ in $(seq 400); do
            sent=$(requests UploadPart)
            [ "$sent" -lt $((2 * part)) ] || break
            sleep 0.05
        done
        kill -9 "$writer"
        wait "$writer" 2>/dev/null
        exec 6>&-
    done
    oc reset
    cp "$T/large" "$M/f1"
    check "the same again: fewer parts" test "$(requests UploadPart)" -lt 4
    oc reset
    remount acl=public-read
    cp "$T/large" "$M/f2"
    check_eq "others: all parts" "$(requests UploadPart)" 4
    check "acl there" grep -q Everyone <<<"$(oc acl f2)"
    check_eq "left over" "$(oc uploads)" ""
}

# A copy on the server would lose access, class and expiry.
renamed_keeps_all() {
    local fd
    exec {fd}>"$M/f"
    set_all f
    echo x >&"$fd"
    exec {fd}>&-
    remount
    mv "$M/f" "$M/g"
    reads_back g
    oc acl g >"$T/acl"
    check "rights" grep -q '<ID>account3</ID></Grantee><Permission>FULL_CONTROL' "$T/acl"
    check "for everyone" grep -q 'Everyone' "$T/acl"
    remount
    reads_back g
    check_eq "content" "$(cat "$M/g")" x
}

t_rename() {
    renamed_keeps_all
    echo x >"$M/page.tmp"
    check_eq "type" "$(oc head page.tmp | sed -n 's/^content-type: //Ip')" application/octet-stream
    mv "$M/page.tmp" "$M/page.html"
    check_eq "type of the new suffix" "$(oc head page.html | sed -n 's/^content-type: //Ip')" text/html
    set_ page.html content_type application/x-own
    mv "$M/page.html" "$M/page.txt"
    check_eq "its own type" "$(oc head page.txt | sed -n 's/^content-type: //Ip')" application/x-own
}

# Not restored: reading says what to do.
t_cold() {
    echo x >"$M/f"
    set_ f storage_class COLD
    remount
    refused "No data available" cat "$M/f"
    check "says what to do" grep -q "restore" "$M/.obsmount/errors"
    check_eq "class" "$(get f storage_class)" COLD
    echo new >"$M/f"
    check_eq "written anew in its class" "$(last PutObject f x-obs-storage-class)" COLD
}

# cp within the mount is a copy on the server; the new file has the properties of its directory.
t_copy() {
    mkdir "$M/d"
    set_ d acl public-read
    set_ d success_action_redirect http://example.com/
    make_file "$T/large" $((2 * part_size))
    cp "$T/large" "$M/f"
    oc reset
    cp "$M/f" "$M/d/f"
    check_eq "copies" "$(requests CopyObject) $(requests UploadPart)" "1 0"
    check_eq "acl" "$(last CopyObject d/f x-obs-acl)" public-read
    check_eq "result" "$(json d/f result 'r["status"], r["body"]["etag"]')" "(200, '$(stored_etag d/f)')"
    check "content" cmp "$T/large" "$M/d/f"
}

t_rename_directory() {
    mkdir "$M/d"
    set_all d
    echo x >"$M/d/f"
    echo x >"$M/d/g"
    unset_ d acl
    remount
    mv "$M/d" "$M/e"
    reads_back e/f
    check "rights" grep -q 'Everyone' <<<"$(oc acl e/g)"
    check_eq "class and expiry" "$(last CopyObject e/g x-obs-storage-class x-obs-expires | xargs)" "WARM 7"
    check_eq "the directory's" "$(get e storage_class)" WARM
    echo x >"$M/e/new"
    check_eq "new ones" "$(last PutObject e/new x-obs-storage-class x-obs-acl | xargs)" "WARM -"
}

. "$(dirname "$0")/../mount/lib.sh"
