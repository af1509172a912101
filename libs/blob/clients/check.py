"""Drives the embedded S3 endpoint with the S3 clients that Python users have: boto3, s3fs, obstore (those installed).

Usage: check.py ENDPOINT ACCESS_KEY SECRET_KEY BUCKET. Prints a line per check; exits 1 if one failed.
"""

import hashlib
import importlib.util
import io
import os
import sys
import traceback
import urllib.error
import urllib.request

endpoint, access_key, secret_key, bucket = sys.argv[1:5]
checks = []


def check(library):
    def register(function):
        if importlib.util.find_spec(library):
            checks.append((f"{library}: {function.__name__}", function))
        return function

    return register


def client(**config):
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 1}, **config),
    )


def error_code(call):
    from botocore.exceptions import ClientError

    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


@check("boto3")
def put_get_head_delete():
    s3 = client()
    for key in ["plain.txt", "a b/ü+%&=?#'()*!~.pb", "deep/er/x"]:
        put = s3.put_object(Bucket=bucket, Key=key, Body=b"hello", Metadata={"who": "me"}, ContentType="text/plain")
        assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"', put
        got = s3.get_object(Bucket=bucket, Key=key)
        assert got["Body"].read() == b"hello" and got["Metadata"] == {"who": "me"} and got["ContentType"] == "text/plain"
        assert s3.get_object(Bucket=bucket, Key=key, Range="bytes=1-3")["Body"].read() == b"ell"
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == 5
        s3.delete_object(Bucket=bucket, Key=key)
        assert error_code(lambda: s3.head_object(Bucket=bucket, Key=key)) == ("404", 404)
        assert error_code(lambda: s3.get_object(Bucket=bucket, Key=key)) == ("NoSuchKey", 404)


@check("boto3")
def every_checksum_algorithm():
    s3 = client()
    for algorithm in ["CRC32", "SHA1", "SHA256"] + (["CRC32C", "CRC64NVME"] if importlib.util.find_spec("awscrt") else []):
        s3.put_object(Bucket=bucket, Key="sum", Body=io.BytesIO(b"x" * 100_000), ChecksumAlgorithm=algorithm)
        assert s3.get_object(Bucket=bucket, Key="sum")["Body"].read() == b"x" * 100_000


@check("boto3")
def signed_payload():
    client(s3={"payload_signing_enabled": True}).put_object(Bucket=bucket, Key="signed", Body=b"signed")


@check("boto3")
def multipart_of_23_mb():
    from boto3.s3.transfer import TransferConfig

    s3 = client()
    data = os.urandom(23 * 1024 * 1024)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(data), bucket, "multi", Config=config, ExtraArgs={"Metadata": {"m": "1"}})
    head = s3.head_object(Bucket=bucket, Key="multi")
    assert head["ETag"].endswith('-5"') and head["Metadata"] == {"m": "1"}, head
    out = io.BytesIO()
    s3.download_fileobj(bucket, "multi", out, Config=config)
    assert hashlib.sha256(out.getvalue()).digest() == hashlib.sha256(data).digest()
    s3.copy({"Bucket": bucket, "Key": "multi"}, bucket, "multi-copy", Config=config)
    assert s3.head_object(Bucket=bucket, Key="multi-copy")["ContentLength"] == len(data)
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


@check("boto3")
def multipart_errors():
    s3 = client()
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = lambda n, body: s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=n, Body=body)["ETag"]
    one, two = part(1, b"small"), part(2, b"end")
    assert [p["PartNumber"] for p in s3.list_parts(Bucket=bucket, Key="parts", UploadId=upload)["Parts"]] == [1, 2]
    complete = lambda parts: s3.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": n, "ETag": e} for n, e in parts]},
    )
    assert error_code(lambda: complete([(1, one), (2, two)]))[0] == "EntityTooSmall"
    assert error_code(lambda: complete([(2, two), (1, one)]))[0] == "InvalidPartOrder"
    assert error_code(lambda: complete([(1, '"0"')]))[0] == "InvalidPart"
    complete([(2, two)])
    assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"end"
    assert error_code(lambda: part(1, b"late"))[0] == "NoSuchUpload"
    gone = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="parts", UploadId=gone)
    assert error_code(lambda: s3.list_parts(Bucket=bucket, Key="parts", UploadId=gone))[0] == "NoSuchUpload"


@check("boto3")
def lists():
    s3 = client()
    keys = sorted([f"l/{i:02}" for i in range(7)] + ["l/x/1", "l/x/2", "l/y/1", "l/z & <é>"], key=lambda k: k.encode())
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="l/", PaginationConfig={"PageSize": 3})
    assert [o["Key"] for page in pages for o in page.get("Contents", [])] == keys
    pages = s3.get_paginator("list_objects").paginate(Bucket=bucket, Prefix="l/", PaginationConfig={"PageSize": 3})
    assert [o["Key"] for page in pages for o in page.get("Contents", [])] == keys
    for name in ["list_objects_v2", "list_objects"]:
        for size in [1, 2, 100]:
            pages = list(s3.get_paginator(name).paginate(
                Bucket=bucket, Prefix="l/", Delimiter="/", PaginationConfig={"PageSize": size}))
            assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["l/x/", "l/y/"], (name, size)
            assert [o["Key"] for page in pages for o in page.get("Contents", [])] == [k for k in keys if k.count("/") == 1]
    odd = s3.list_objects_v2(Bucket=bucket, Prefix="l/", Delimiter="0")
    assert [p["Prefix"] for p in odd["CommonPrefixes"]] == ["l/0"]
    assert s3.list_objects_v2(Bucket=bucket, Prefix="l/", StartAfter="l/x/1", Delimiter="/")["CommonPrefixes"][0]["Prefix"] == "l/x/"
    assert s3.list_objects_v2(Bucket=bucket, Prefix="nothing")["KeyCount"] == 0
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys]})
    assert len(deleted["Deleted"]) == len(keys)
    assert s3.list_objects_v2(Bucket=bucket, Prefix="l/")["KeyCount"] == 0


@check("boto3")
def buckets():
    s3 = client()
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    s3.head_bucket(Bucket=bucket)
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert error_code(lambda: s3.head_bucket(Bucket="missing-bucket"))[1] == 404
    assert error_code(lambda: s3.create_bucket(Bucket=bucket))[0] == "BucketAlreadyOwnedByYou"
    assert error_code(lambda: s3.get_object(Bucket="missing-bucket", Key="x"))[0] == "NoSuchBucket"


@check("boto3")
def conditions():
    s3 = client()
    etag = s3.put_object(Bucket=bucket, Key="cond", Body=b"1")["ETag"]
    assert error_code(lambda: s3.put_object(Bucket=bucket, Key="cond", Body=b"2", IfNoneMatch="*")) == ("PreconditionFailed", 412)
    assert error_code(lambda: s3.get_object(Bucket=bucket, Key="cond", IfMatch='"x"'))[1] == 412
    assert error_code(lambda: s3.get_object(Bucket=bucket, Key="cond", IfNoneMatch=etag))[1] == 304
    assert error_code(lambda: s3.get_object(Bucket=bucket, Key="cond", Range="bytes=10-"))[0] == "InvalidRange"
    s3.get_object(Bucket=bucket, Key="cond", IfMatch=etag)
    s3.copy_object(Bucket=bucket, Key="cond2", CopySource={"Bucket": bucket, "Key": "cond"}, MetadataDirective="REPLACE", Metadata={"n": "2"})
    assert s3.head_object(Bucket=bucket, Key="cond2")["Metadata"] == {"n": "2"}
    assert error_code(lambda: s3.copy_object(Bucket=bucket, Key="c3", CopySource=f"{bucket}/none"))[0] == "NoSuchKey"


@check("boto3")
def keys_that_would_leave_the_folder():
    s3 = client()
    for key in ["../escape", "a/../../escape", "a/./b", "..", "nul\0"]:
        code = error_code(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x"))
        assert code and code[1] in (400, 403), (key, code)


def fetch(url, method="GET", body=None, headers={}):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method=method, headers=headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@check("boto3")
def presigned():
    from botocore.config import Config

    s3 = client(signature_version="s3v4")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "pre signed"}, ExpiresIn=60)
    assert fetch(url, "PUT", b"body")[0] == 200
    assert fetch(url, "GET")[0] == 403
    status, answer = fetch(url, "PUT", b"body", {"x-amz-copy-source": f"{bucket}/cond"})
    assert status == 403 and b"not signed" in answer
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "pre signed"}, ExpiresIn=60)
    assert fetch(url) == (200, b"body")
    assert fetch(url[:-3] + "000")[0] == 403


@check("boto3")
def bad_credentials():
    import boto3

    for access, secret, code in [(access_key, "wrong", "SignatureDoesNotMatch"), ("nobody", "x", "InvalidAccessKeyId")]:
        s3 = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=access, aws_secret_access_key=secret, region_name="us-east-1")
        assert error_code(lambda: s3.list_objects_v2(Bucket=bucket)) == (code, 403)
        assert error_code(lambda: s3.put_object(Bucket=bucket, Key="no", Body=b"x" * 3_000_000)) == (code, 403)


@check("s3fs")
def filesystem():
    import s3fs

    fs = s3fs.S3FileSystem(key=access_key, secret=secret_key, endpoint_url=endpoint)
    base = f"{bucket}/s3fs"
    with fs.open(f"{base}/a.bin", "wb") as file:
        file.write(b"a" * 12_000_000)
    with fs.open(f"{base}/a.bin", "rb") as file:
        file.seek(11_999_990)
        assert file.read() == b"a" * 10
    fs.pipe(f"{base}/dir/b.txt", b"b")
    fs.pipe(f"{base}/dir/sub/c.txt", b"c")
    assert sorted(fs.find(base)) == [f"{base}/a.bin", f"{base}/dir/b.txt", f"{base}/dir/sub/c.txt"]
    assert sorted(fs.ls(base, detail=False)) == [f"{base}/a.bin", f"{base}/dir"]
    assert fs.isdir(f"{base}/dir") and fs.exists(f"{base}/dir/b.txt") and not fs.exists(f"{base}/none")
    fs.copy(f"{base}/dir/b.txt", f"{base}/copy.txt")
    assert fs.cat(f"{base}/copy.txt") == b"b"
    fs.mkdirs(f"{base}/made", exist_ok=True)
    fs.rm(base, recursive=True)
    assert fs.find(base) == []


@check("s3fs")
def files_that_processes_wrote():
    """A file put into the folder by a process reads consistently (s3fs sends If-Match with the ETag of its listing)."""
    import s3fs

    folder = os.environ["BLOB_FOLDER"]
    os.makedirs(f"{folder}/{bucket}/direct", exist_ok=True)
    for name, size in [("small", 10), ("large", 3_000_000)]:
        with open(f"{folder}/{bucket}/direct/{name}", "wb") as file:
            file.write(b"d" * size)
    fs = s3fs.S3FileSystem(key=access_key, secret=secret_key, endpoint_url=endpoint)
    assert len(fs.ls(f"{bucket}/direct")) == 2
    for name, size in [("small", 10), ("large", 3_000_000)]:
        with fs.open(f"{bucket}/direct/{name}", "rb") as file:
            assert len(file.read()) == size


@check("obstore")
def objectstore():
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        bucket, endpoint=endpoint, access_key_id=access_key, secret_access_key=secret_key, region="us-east-1",
        virtual_hosted_style_request=False, client_options={"allow_http": True},
    )
    obstore.put(store, "obstore/a b.bin", b"hello")
    assert bytes(obstore.get(store, "obstore/a b.bin").bytes()) == b"hello"
    assert bytes(obstore.get_range(store, "obstore/a b.bin", start=1, end=3)) == b"el"
    data = os.urandom(17 * 1024 * 1024)
    obstore.put(store, "obstore/large", io.BytesIO(data), chunk_size=5 * 1024 * 1024, use_multipart=True)
    assert bytes(obstore.get(store, "obstore/large").bytes()) == data
    assert obstore.head(store, "obstore/large")["size"] == len(data)
    assert sorted(o["path"] for page in obstore.list(store, "obstore") for o in page) == ["obstore/a b.bin", "obstore/large"]
    try:
        obstore.put(store, "obstore/a b.bin", b"again", mode="create")
        raise AssertionError("create over an existing object")
    except obstore.exceptions.AlreadyExistsError:
        pass
    obstore.copy(store, "obstore/a b.bin", "obstore/copy")
    obstore.delete(store, ["obstore/a b.bin", "obstore/large", "obstore/copy"])
    assert [o for page in obstore.list(store, "obstore") for o in page] == []


failed = 0
for name, function in checks:
    try:
        function()
        print(f"ok      {name}")
    except Exception:
        failed += 1
        print(f"FAILED  {name}\n{traceback.format_exc()}")
print(f"{len(checks) - failed} of {len(checks)} checks passed")
sys.exit(1 if failed or not checks else 0)
