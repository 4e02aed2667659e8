# SPDX-License-Identifier: Apache-2.0
"""cloud.py - what cloud.sh asks of Huawei's SDK for DLI, and of its signer for ModelArts

  upload KIND GROUP URL...       KIND: jar, pyFile, file, or generic (as a jar)
  show NAME GROUP                status and kind, one line
  list                           "GROUP: NAME NAME" a line, sorted
  delete NAME GROUP
  modelarts METHOD PATH          signed; prints status and body
"""
import http.client
import os
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from huaweicloudsdkdli import v1 as dli

PROJECT = "0123456789abcdef0123456789abcdef"
PORT = int(os.environ["OBS_PORT"])


def credentials():
    with open(os.environ["OBS_KEYS"]) as f:
        ak, sk = f.readline().strip().split(":")[:2]
    return BasicCredentials(ak, sk, PROJECT)


def client():
    builder = dli.DliClient.new_builder().with_credentials(credentials())
    return builder.with_endpoint(f"http://127.0.0.1:{PORT}").build()


def upload(c, kind, group, urls):
    if kind == "generic":
        body = dli.UploadJobResourcesRequestBody(paths=urls, kind="jar", group=group, is_async=False)
        return c.upload_job_resources(dli.UploadJobResourcesRequest(body=body))
    body = dli.UploadResourcesRequestBody(paths=urls, group=group)
    return {
        "jar": lambda: c.upload_jar_job_resources(dli.UploadJarJobResourcesRequest(body=body)),
        "pyFile": lambda: c.upload_python_file_job_resources(
            dli.UploadPythonFileJobResourcesRequest(body=body)),
        "file": lambda: c.upload_file_job_resources(dli.UploadFileJobResourcesRequest(body=body)),
    }[kind]()


def modelarts(method, path):
    headers = {"Content-Type": "application/json", "X-Project-Id": PROJECT,
               "Host": f"127.0.0.1:{PORT}"}
    request = SdkRequest(method, "http", f"127.0.0.1:{PORT}", path, query_params=[],
                         header_params=headers, body="")
    signed = Signer(credentials()).sign(request)
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    connection.request(method, path, "", signed.header_params)
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())


def main(command, *words):
    if command == "modelarts":
        return modelarts(*words)
    c = client()
    if command == "upload":
        answer = upload(c, words[0], words[1], list(words[2:]))
        print(answer.group_name, answer.status, *sorted(answer.resources))
    elif command == "show":
        found = c.show_job_resource(dli.ShowJobResourceRequest(words[0], words[1]))
        print(found.status, found.resource_type)
    elif command == "list":
        for group in sorted(c.list_job_resources(dli.ListJobResourcesRequest()).groups,
                            key=lambda g: g.group_name):
            print(f"{group.group_name}: {' '.join(sorted(group.resources))}")
    elif command == "delete":
        c.delete_job_resource(dli.DeleteJobResourceRequest(words[0], words[1]))
    else:
        sys.exit(__doc__)


try:
    main(*sys.argv[1:])
except ClientRequestException as e:
    sys.exit(f"{e.status_code} {e.error_code} {e.error_msg}")
