"""What Vault asks of a Kubernetes cluster: whether a service account's token is good. A real HTTPS server.

TokenReview: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/.
"""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from keyturn.sandbox.openbao import TlsFiles

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_HOUR_S = 3600


@dataclass
class ClusterApi:
    """One cluster's API server, which knows the tokens that it has issued and not withdrawn."""

    url: str
    ca: Path
    reviewer: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    good: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    asked: int = 0

    def issue(self, account: str, namespace: str = "keyturn", audience: str = "vault") -> str:
        """A token as the kubelet mounts it; two are never the same."""
        now, uid = int(time.time()), f"uid-of-{namespace}-{account}"
        claims = {
            "aud": [audience],
            "exp": now + _HOUR_S,
            "iat": now,
            "nbf": now,
            "iss": "https://kubernetes.default.svc.cluster.local",
            "jti": secrets.token_hex(8),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}},
            "sub": f"system:serviceaccount:{namespace}:{account}",
        }
        # Vault leaves the signature to the cluster, and this one knows its tokens by heart.
        parts = ({"alg": "RS256", "typ": "JWT"}, claims)
        token = ".".join([*(_base64(json.dumps(part).encode()) for part in parts), _base64(secrets.token_bytes(32))])
        user = {"username": claims["sub"], "uid": uid, "groups": ["system:serviceaccounts"]}
        self.good[token] = {"authenticated": True, "user": user, "audiences": [audience]}
        return token

    def withdraw(self, token: str) -> None:
        """From now on it is not good, as when it has run out or its pod is gone."""
        del self.good[token]

    def review(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer a TokenReview. It is good for an audience only if it was issued for it."""
        self.asked += 1
        status = self.good.get(asked["spec"]["token"], {"authenticated": False, "error": "it is not known"})
        wanted = asked["spec"].get("audiences") or status.get("audiences", [])
        if status["authenticated"] and not set(wanted) & set(status["audiences"]):
            status = {"authenticated": False, "error": "it is for another audience"}
        return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}


@contextmanager
def cluster_api(tls: TlsFiles) -> Iterator[ClusterApi]:
    """Serve one on 127.0.0.1 until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Reviews)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    api = ClusterApi(f"https://127.0.0.1:{server.server_address[1]}", tls.ca)
    server.api = api  # type: ignore[attr-defined]  the handler is given nothing but its server
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Reviews(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer who may ask."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        api: ClusterApi = self.server.api  # type: ignore[attr-defined]
        if self.path != PATH or self.headers["Authorization"] != f"Bearer {api.reviewer}":
            self._answer(403, {"kind": "Status", "status": "Failure", "code": 403})
        else:
            self._answer(201, api.review(json.loads(body)))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, what: dict[str, Any]) -> None:
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
