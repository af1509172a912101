"""moto's server, whose AWS Batch jobs run as processes of this machine instead of Docker containers.

Usage: server.py -H 127.0.0.1 -p PORT (arguments of moto_server). A job's command gets PATH and the job's own environment.

moto's Batch tells EventBridge nothing of its jobs. Here each change of a job's state is put into moto's own EventBridge as Batch documents it
(`Batch Job State Change`); rules, targets and queues behind that are moto's.
"""

import datetime
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading

from moto.batch.models import Job
from moto.events import events_backends
from moto.utilities import docker_utilities

CHILD = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-(\d+))?$")


class Container:
    """What moto asks of docker-py's container, over a process in a session of its own."""

    attrs = {"NetworkSettings": {"Networks": {}, "IPAddress": "127.0.0.1"}}

    def __init__(self, command, environment, name):
        words = command if isinstance(command, list) else ["/bin/sh", "-c", command]
        env = {"PATH": os.environ["PATH"], **{key: str(value) for key, value in environment.items()}}
        job = CHILD.search(name)
        if job and job.group(2):
            env["AWS_BATCH_JOB_ARRAY_INDEX"] = job.group(2)
        # A place of its own, as in a container.
        self.folder = tempfile.TemporaryDirectory()
        self.files = {"stdout": tempfile.TemporaryFile(), "stderr": tempfile.TemporaryFile()}
        self.process, self.code = None, None
        try:
            self.process = subprocess.Popen(words, env=env, cwd=self.folder.name, start_new_session=True, **self.files)
        except OSError as error:
            self.code = 127
            self.files["stderr"].write(str(error).encode())

    def reload(self):
        if self.process:
            self.code = self.process.poll()

    @property
    def status(self):
        self.reload()
        return "running" if self.code is None else "exited"

    def kill(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait(self):
        code = self.process.wait() if self.process else self.code
        return {"StatusCode": code if code >= 0 else 128 - code}

    def logs(self, stdout=True, stderr=True, **_):
        file = self.files["stdout" if stdout else "stderr"]
        file.seek(0)
        at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        return b"".join(at + b" " + line + b"\n" for line in file.read().splitlines())

    def remove(self, **_):
        for file in self.files.values():
            file.close()
        self.folder.cleanup()


class Containers:
    @staticmethod
    def run(image=None, command=None, environment=None, name="", **_):
        return Container(command, environment or {}, name)


class Client:
    containers = Containers()


docker_utilities.DockerModel.docker_client = property(lambda _: Client())

changes = queue.SimpleQueue()


def change(job, status):
    """moto keeps a job's state in `_status`, whoever changes it."""
    if job.__dict__.get("state") not in (None, status):
        changes.put((job, status))
    job.__dict__["state"] = status


def tell_changes():
    while True:
        job, status = changes.get()
        detail = {**job.describe(), "status": status}
        if "index" in job.array_properties:
            detail["arrayProperties"] = {"index": job.array_properties["index"], "statusSummary": {}}
        event = {"Source": "aws.batch", "DetailType": "Batch Job State Change", "Detail": json.dumps(detail)}
        events_backends[job.backend.account_id][job.backend.region_name].put_events([event])


Job._status = property(lambda job: job.__dict__.get("state"), change)

if __name__ == "__main__":
    from moto.server import main

    threading.Thread(target=tell_changes, daemon=True).start()
    main(sys.argv[1:])
