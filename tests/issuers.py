"""Issuers of tokens with keys made for the test, and a real HTTP server that publishes such keys."""

from __future__ import annotations

import base64
import json
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


class Issuer:
    """Signs with one key. Two of the same `name` and `algorithm` have the same key, since keys take long to make."""

    def __init__(self, name: str = "one", algorithm: str = "RS256", bits: int = 2048) -> None:
        self.name = name
        self.algorithm = algorithm
        self.private: Any = _private_key(name, CURVES.get(algorithm), bits)

    @property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def jwk(self, **changed: Any) -> dict[str, Any]:
        """The public key with its name and algorithm; None takes a member away."""
        kind = ECAlgorithm if self.algorithm in CURVES else RSAAlgorithm
        members = kind.to_jwk(self.private.public_key(), as_dict=True)
        full = {**members, "kid": self.name, "alg": self.algorithm, "use": "sig", "key_ops": ["verify"], **changed}
        return {name: value for name, value in full.items() if value is not None}

    def token(self, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of ann, good for ten minutes, unless `claims` say otherwise; None takes a claim away."""
        given = claims_of(**claims)
        return jwt.encode(given, self.private, self.algorithm, headers={"kid": self.name, **(header or {})})


def claims_of(**changed: Any) -> dict[str, Any]:
    full = {"sub": "ann", "exp": int(time.time()) + 600, **changed}
    return {name: value for name, value in full.items() if value is not None}


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def hand_made(header: Any, payload: Any, signature: bytes = b"x" * 256) -> str:
    """A token of any content; bytes are taken as they are."""
    parts = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in (*parts, signature))


class KeyServer:
    """Publishes `body` over HTTP on loopback."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.body = key_set(*keys)
        self.status = 200
        self.requests = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.was_asked = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answers_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/keys"

    def publish(self, *keys: dict[str, Any]) -> None:
        self.body = key_set(*keys)

    def __enter__(self) -> KeyServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _answers_of(server: KeyServer) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests += 1
            server.was_asked.set()
            server.may_answer.wait(30)
            self.send_response(server.status)
            self.send_header("Content-Type", "application/jwk-set+json")
            self.send_header("Content-Length", str(len(server.body)))
            self.end_headers()
            self.wfile.write(server.body)

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    return Answers


@cache
def _private_key(name: str, curve: ec.EllipticCurve | None, bits: int) -> Any:
    return rsa.generate_private_key(65537, bits) if curve is None else ec.generate_private_key(curve)
