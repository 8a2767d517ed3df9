"""The local API of a daemon, over its socket."""

import http.client
import json
import socket


class Api(http.client.HTTPConnection):
    """One connection, for any number of calls."""

    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method, where, body=None, headers=None):
        """The status and the answer: JSON where it is some, else bytes. A body of bytes goes as it is, any other as JSON."""
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        self.request(method, where, data, {"Content-Type": kind, **(headers or {})})
        answer = self.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text

    def good(self, method, where, body=None):
        """The answer of a call that must succeed."""
        status, answer = self.ask(method, where, body)
        assert status < 300, f"{method} {where}: {status} {answer}"
        return answer
