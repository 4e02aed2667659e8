# SPDX-License-Identifier: Apache-2.0
"""props.py - what props.sh asks of Huawei's SDK about the properties of an object

  check KEY    the SDK must see the properties that the mount has set
  store KEY    stores an object with them, as uploadFile's table of headers says
  get KEY SECRET FILE, put KEY SECRET FILE    with the customer's key of 32 bytes in SECRET
"""
import sys

from obs import ExtensionGrant, GetObjectHeader, PutObjectHeader, SseCHeader
from obs.model import Permission

from sdkclient import BUCKET, client, expect, good


def check(obs, key):
    body = good(obs.getObjectMetadata(BUCKET, key)).body
    expect("class", body.storageClass, "WARM")
    expect("type", body.contentType, "application/x-test")
    head = {n.lower().removeprefix("x-obs-"): v for n, v in good(obs.getObjectMetadata(BUCKET, key)).header}
    owner = [v for n, v in head.items() if n.endswith("owner")]
    expect("metadata", owner, ["jane"])
    for name, value in {"cache-control": "no-store", "server-side-encryption": "kms"}.items():
        expect(name, [v for n, v in head.items() if n.endswith(name)], [value])
    if not any("expir" in n for n in head):
        sys.exit(f"it does not expire: {head}")
    location = [v for n, v in head.items() if n.endswith("website-redirect-location")]
    expect("redirection", location, ["/other.html"])
    acl = good(obs.getObjectAcl(BUCKET, key)).body
    rights = {(g.grantee.grantee_id or g.grantee.group, g.permission) for g in acl.grants}
    for right in (("account1", Permission.READ), ("account2", Permission.READ),
                  ("account1", Permission.READ_ACP), ("account1", Permission.WRITE_ACP),
                  ("account3", Permission.FULL_CONTROL)):
        if right not in rights:
            sys.exit(f"rights: {sorted(map(str, rights))} have no {right}")
    if not any(p == Permission.READ and str(who).lower() in ("everyone", "all_users", "allusers")
               for who, p in rights):
        sys.exit(f"not for everyone: {sorted(map(str, rights))}")


def store(obs, key):
    headers = PutObjectHeader(
        acl="public-read", contentType="application/x-test", storageClass="WARM",
        location="/other.html", expires=7,
        extensionGrants=[ExtensionGrant(granteeId="account1", permission=Permission.READ)])
    good(obs.putContent(BUCKET, key, "x", metadata={"owner": "jane"}, headers=headers))


def customer(secret):
    with open(secret, "rb") as f:
        return SseCHeader.getInstance(f.read())


def get(obs, key, secret, file):
    good(obs.getObject(BUCKET, key, downloadPath=file, headers=GetObjectHeader(sseHeader=customer(secret))))
    good(obs.getObjectMetadata(BUCKET, key, sseHeader=customer(secret)))


def put(obs, key, secret, file):
    good(obs.putFile(BUCKET, key, file, headers=PutObjectHeader(sseHeader=customer(secret))))


def main(command, *arguments):
    {"check": check, "store": store, "get": get, "put": put}[command](client(), *arguments)


main(*sys.argv[1:])
