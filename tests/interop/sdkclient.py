# SPDX-License-Identifier: Apache-2.0
"""sdkclient - Huawei's SDK for the scripts beside this one: obs-local in virtual-host style, OBS signature"""
import os
import socket
import sys

from obs import ObsClient

BUCKET = "bkt"
CA = os.environ.get("OBS_CA")  # set: https
SERVER = f"{'https' if CA else 'http'}://localhost:{os.environ['OBS_PORT']}"

# Python does not know that names below localhost mean this machine.
_resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: _resolve(
    "127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)


def keys():
    with open(os.environ["OBS_KEYS"]) as f:
        return f.readline().strip().split(":")[:2]


def client():
    ak, sk = keys()
    return ObsClient(access_key_id=ak, secret_access_key=sk, is_secure=bool(CA), ssl_verify=CA or False,
                     server=SERVER)


def good(answer):
    if answer.status >= 300:
        sys.exit(f"{answer.status} {answer.errorCode} {answer.errorMessage}")
    return answer


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, expected {wanted!r}")
