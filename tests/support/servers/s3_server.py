"""An S3 server on loopback, moto's, as a process of its own, that notes every request.

`s3_server.py LOG` prints its port and serves until its standard input ends, which it does when
whoever started it ends, however that happens. It writes a line of JSON for each request that it
answered. A line of input is a JSON list of parts of names: PUTs to such names are held, and refused
once the next line comes. It prints once that there is one for each part.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from werkzeug.serving import WSGIRequestHandler, make_server

KEY_ID, SECRET = "tests", "tests-secret"
BUCKET = "bucket"
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Request:
    """What was asked: `GET /bucket/key?list-type=2`, and the source of a copy."""

    method: str
    target: str
    copy_source: str | None
    status: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(frozen=True)
class S3Server:
    """A server that runs."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """Boto's client of it."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def objects(self, prefix: str = "") -> list[str]:
        """The names of the objects in the bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        found = (item["Key"] for page in pages for item in page.get("Contents", ()))
        return sorted(key for key in found if key.startswith(prefix))

    def unfinished_uploads(self) -> list[str]:
        """The names of the objects whose uploads were begun and neither ended nor given up."""
        found = self.client().list_multipart_uploads(Bucket=BUCKET)
        return sorted(upload["Key"] for upload in found.get("Uploads", ()))

    def requests(self) -> list[Request]:
        """All requests so far."""
        return [Request(**json.loads(line)) for line in self.log.read_text().splitlines()]

    def copies(self) -> list[str]:
        """What was copied from: a rename on S3 is a copy, and a deletion."""
        return [each.copy_source for each in self.requests() if each.copy_source is not None]

    def hold(self, *names: str) -> None:
        """Hold what is put under names with one of these in them; refuse what was held before."""
        self._say(json.dumps(names))

    def wait_for_held(self) -> None:
        """Wait until a request is held for each name; fail where that takes too long."""
        end = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        end.start()
        try:
            assert self.process.stdout.readline() == "held\n"
        finally:
            end.cancel()

    def refuse_held(self) -> None:
        """Refuse what is held, and hold no more."""
        self._say("[]")

    def _say(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "heard\n"

    def spark_settings(self, key_id: str = KEY_ID) -> dict[str, str]:
        """What Spark needs to reach it."""
        return {
            "spark.hadoop.fs.s3a.endpoint": self.endpoint,
            "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.access.key": key_id,
            "spark.hadoop.fs.s3a.secret.key": SECRET,
        }

    def pyarrow_options(self) -> dict[str, str]:
        """What pyarrow needs to reach it: values of --storage-option."""
        return {
            "endpoint_override": self.endpoint,
            "access_key": KEY_ID,
            "secret_key": SECRET,
            "region": "us-east-1",
        }


@contextmanager
def running_server(folder: Path) -> Iterator[S3Server]:
    """Run a server with one empty bucket."""
    log = folder / "requests.jsonl"
    log.touch()
    with (
        (folder / "s3-server.log").open("w") as errors,
        subprocess.Popen(
            [sys.executable, __file__, str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            server = S3Server(process, int(process.stdout.readline()), log)
            server.client().create_bucket(Bucket=BUCKET)
            yield server
        finally:
            process.kill()


class _Application:
    """Moto's, behind a door that notes, holds and checks whose request it is."""

    def __init__(self, log: Path) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        self.application = DomainDispatcherApplication(create_backend_app)
        self.stream, self.lock = log.open("a", buffering=1), threading.Lock()
        self.names, self.held, self.is_over = [], set(), threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        method, target = environ["REQUEST_METHOD"], environ["RAW_URI"]

        def starting(status: str, *rest: Any) -> Any:
            copied = environ.get("HTTP_X_AMZ_COPY_SOURCE")
            request = Request(method, target, copied, int(status[:3]))
            with self.lock:
                self.stream.write(json.dumps(dataclasses.asdict(request)) + "\n")
            return start_response(status, *rest)

        if f"Credential={KEY_ID}/" not in environ.get("HTTP_AUTHORIZATION", ""):
            return _refuse(environ, starting, "403 Forbidden", "InvalidAccessKeyId")
        if method == "PUT" and self._hold_this(target):
            return _refuse(environ, starting, "503 Slow Down", "SlowDown")
        return self.application(environ, starting)

    def _hold_this(self, target: str) -> bool:
        """Wait where this is to be held, and tell whether it was."""
        with self.lock:
            found = {name for name in self.names if name in target}
            if not found:
                return False
            is_over, was_held = self.is_over, set(self.held)
            self.held |= found
            if self.held != was_held and self.held == set(self.names):
                print("held", flush=True)
        is_over.wait(300)
        return True

    def hold(self, names: list[str]) -> None:
        """Hold what is put under names like these; what was held before is refused."""
        with self.lock:
            is_over, self.is_over = self.is_over, threading.Event()
            self.names, self.held = names, set()
            is_over.set()
            print("heard", flush=True)


def _refuse(environ: dict[str, Any], start_response: Any, status: str, code: str) -> list[bytes]:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))  # more would never come
    start_response(status, [("Content-Type", "application/xml")])
    is_head = environ["REQUEST_METHOD"] == "HEAD"
    return [b"" if is_head else f"<Error><Code>{code}</Code></Error>".encode()]


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"


def serve(log: Path) -> None:
    """Serve until standard input ends."""
    application = _Application(log)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.port, flush=True)
    for line in sys.stdin:
        application.hold(json.loads(line))


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
