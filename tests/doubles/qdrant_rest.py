"""A loopback double of Qdrant's REST interface over qdrant-client's local engine.

Strict: a route that it does not know answers 501, a body that Qdrant's own models refuse answers 400, a wrong key 401.
"""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import QdrantClient
from qdrant_client.http import models as m

KEY = "the-right-key"


@dataclass(slots=True)
class RestDouble:
    """A running double: where it listens, and what it was asked."""

    url: str
    requests: list[tuple[str, str, Any]] = field(default_factory=list)  # method, path with query, body


def _create(engine: QdrantClient, name: str, body: Any) -> object:
    asked = m.CreateCollection.model_validate(body)
    return engine.create_collection(name, vectors_config=asked.vectors, sparse_vectors_config=asked.sparse_vectors)


def _field_index(engine: QdrantClient, name: str, body: Any) -> object:
    asked = m.CreateFieldIndex.model_validate(body)
    return engine.create_payload_index(name, asked.field_name, field_schema=asked.field_schema)


def _change(engine: QdrantClient, name: str, body: Any) -> object:
    return engine.batch_update_points(name, m.UpdateOperations.model_validate(body).operations)


def _query(engine: QdrantClient, name: str, body: Any) -> object:
    return engine.query_batch_points(name, m.QueryRequestBatch.model_validate(body).searches)


def _count(engine: QdrantClient, name: str, body: Any) -> object:
    asked = m.CountRequest.model_validate(body)
    return engine.count(name, count_filter=asked.filter, exact=bool(asked.exact))


_ROUTES: list[tuple[str, str, Callable[[QdrantClient, str, Any], object]]] = [
    ("GET", r"/collections/([^/]+)/exists", lambda engine, name, _: {"exists": engine.collection_exists(name)}),
    ("GET", r"/collections/([^/]+)", lambda engine, name, _: engine.get_collection(name)),
    ("DELETE", r"/collections/([^/]+)", lambda engine, name, _: engine.delete_collection(name)),
    ("PUT", r"/collections/([^/]+)", _create),
    ("PUT", r"/collections/([^/]+)/index", _field_index),
    ("POST", r"/collections/([^/]+)/points/batch", _change),
    ("POST", r"/collections/([^/]+)/points/query/batch", _query),
    ("POST", r"/collections/([^/]+)/points/count", _count),
]


def _plain(result: object) -> object:
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json", exclude_none=True)
    if isinstance(result, list):
        return [_plain(item) for item in result]
    return TypeAdapter(Any).dump_python(result, mode="json")


@contextmanager
def qdrant_rest() -> Iterator[RestDouble]:
    """A double that listens until the block ends."""
    warnings.filterwarnings("ignore", category=UserWarning, module="qdrant_client")
    engine = QdrantClient(":memory:", force_disable_check_same_thread=True)
    lock = threading.Lock()
    double = RestDouble(url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def answer(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            double.requests.append((self.command, self.path, body))
            code, content = self._result(self.path.partition("?")[0], body)
            data = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _result(self, path: str, body: Any) -> tuple[int, object]:
            if self.headers.get("api-key") != KEY:
                return 401, {"status": {"error": "Invalid api-key"}}
            for method, pattern, serve in _ROUTES:
                match = re.fullmatch(pattern, path)
                if match and method == self.command:
                    try:
                        with lock:
                            return 200, {"result": _plain(serve(engine, match[1], body)), "status": "ok", "time": 0.0}
                    except (ValidationError, ValueError) as error:
                        return 400, {"status": {"error": str(error)[:500]}}
            return 501, {"status": {"error": f"no such route: {self.command} {path}"}}

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # many clients connect at a time

    server = Server(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True, name="qdrant double").start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
