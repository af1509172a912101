"""One platform as a child process, for the Python suites; knows nothing of their clients."""

import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]

READY = re.compile(r"gRPC (\S+:\d+), HTTP (http://\S+?)(?:\s|,|$)")


class PlatformProcess:
    """`kill` and `start` again keep its data."""

    #: Variables of this platform besides those of the caller.
    environment: dict[str, str] = {}

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self.process = None
        self.grpc = self.http = ""
        self.log = open(directory / "platform.log", "ab")

    def start(self, timeout: float = 60.0) -> "PlatformProcess":
        env = {
            **os.environ,
            **self.environment,
            "ALOFT_DATA_DIR": str(self.directory / "data"),
            "ALOFT_GRPC_PORT": self.grpc.rpartition(":")[2] or "0",
            "ALOFT_HTTP_PORT": self.http.rpartition(":")[2] or "0",
            "ALOFT_PYTHON": sys.executable,
        }
        main = ROOT / "apps" / "standalone" / "dist" / "main.js"
        self.process = subprocess.Popen(["node", str(main)], env=env, stdout=subprocess.PIPE, stderr=self.log, cwd=self.directory)
        deadline = time.monotonic() + timeout
        seen = b""
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                chunk = os.read(self.process.stdout.fileno(), 65536)
                seen += chunk
                self.log.write(chunk)
                self.log.flush()
            found = READY.search(seen.decode(errors="replace"))
            if found:
                self.grpc, self.http = found.group(1), found.group(2)
                self._drain()
                return self
            if self.process.poll() is not None:
                break
        raise RuntimeError(f"the platform did not become ready; see {self.directory}/platform.log\n{seen.decode(errors='replace')}")

    def _drain(self) -> None:
        stream, log = self.process.stdout, self.log

        def copy() -> None:
            for chunk in iter(lambda: os.read(stream.fileno(), 65536), b""):
                log.write(chunk)
                log.flush()

        threading.Thread(target=copy, daemon=True).start()

    def stop(self) -> int:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)
        return self.process.returncode if self.process else 0

    def logs(self) -> list[pathlib.Path]:
        """Of its processes; none for a platform that was there already, unless it says where they are."""
        topology = os.environ.get("ALOFT_TOPOLOGY")
        services = json.loads(pathlib.Path(topology).read_text())["services"] if topology else []
        return [self.directory / "platform.log", *(pathlib.Path(service["log"]) for service in services)]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running_platform(kind: type[PlatformProcess]) -> Iterator[PlatformProcess]:
    """The platform named by ALOFT_E2E_ENDPOINT and ALOFT_E2E_HTTP, else one of its own that ends with the block."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="aloft-e2e-"))
    os.chmod(directory, 0o755)
    platform = kind(directory)
    try:
        endpoint = os.environ.get("ALOFT_E2E_ENDPOINT")
        if endpoint:
            platform.grpc, platform.http = endpoint, os.environ["ALOFT_E2E_HTTP"]
        else:
            platform.start()
        yield platform
    finally:
        platform.stop()
        if not os.environ.get("ALOFT_E2E_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)
