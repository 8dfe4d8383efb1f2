"""The server on a real socket, and the command in a process of its own."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from prism.errors import InputError
from prism.profile import load_profile
from sim.explorer.server import ExplorerServer, page_files
from tests.helpers.command import Cli, child_environment, run_prism

PROFILES = {"orin_nano_published": load_profile("orin_nano_published")}


@pytest.fixture(scope="module")
def server() -> Iterator[ExplorerServer]:
    with ExplorerServer(0, PROFILES) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@contextmanager
def connected(server: ExplorerServer) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)) as connection:
        yield connection


def ask(
    server: ExplorerServer, target: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    with connected(server) as connection:
        connection.request(method, target, headers=headers)
        reply = connection.getresponse()
        return reply, reply.read()


def test_the_page_and_everything_that_it_names_is_there(server: ExplorerServer) -> None:
    reply, body = ask(server, "/")
    assert (reply.status, reply.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    page = body.decode()
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', page))
    assert named == {"icon.svg", "style.css", "app.js"}
    scripts = {name for name in page_files() if name.endswith(".js")}
    imported = {
        f"/{name}"
        for script in scripts
        for name in re.findall(r'from "\./([\w.]+)"', page_files()[script].body.decode())
    }
    assert imported | {"/app.js"} == scripts  # none is missing, none is left over
    for name in (*named, *scripts):
        assert ask(server, f"/{name.lstrip('/')}")[0].status == 200


def test_nothing_of_the_page_comes_from_elsewhere() -> None:
    for name, reply in page_files().items():
        without_names = reply.body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(?m)(^|\s)//.*$", "", without_names), name
        assert "style=" not in without_names, name


def test_every_reply_forbids_what_the_page_does_not_need(server: ExplorerServer) -> None:
    for target in ("/", "/api/choices", "/api/answer", "/api/answer?batch=0", "/nothing"):
        headers = ask(server, target)[0].headers
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'; "
        )
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "0.0.0.0"])
def test_another_host_name_is_refused(server: ExplorerServer, host: str) -> None:
    reply, body = ask(server, "/api/answer", Host=host)
    assert reply.status == 403
    assert json.loads(body) == {"error": "this page answers as 127.0.0.1 or localhost only"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "LOCALHOST"])
def test_its_own_names_are_answered(server: ExplorerServer, host: str) -> None:
    assert ask(server, "/api/choices", Host=host)[0].status == 200


def test_a_question_is_answered(server: ExplorerServer) -> None:
    reply, body = ask(server, "/api/answer?batch=16&cr=3.283")
    found: dict[str, Any] = json.loads(body)
    assert (reply.status, reply.getheader("Content-Type")) == (200, "application/json")
    assert found["asked"]["batch"] == 16
    assert found["asked"]["segments"] == 30
    assert [bar["mode"] for bar in found["breakdown"]] == ["local", "full_tensor", "segment_means"]
    assert len(found["map"]["best"]) == len(found["map"]["batches"]) * len(found["map"]["bandwidths_mbps"])


def test_what_cannot_be_asked_is_a_400_with_the_line(server: ExplorerServer) -> None:
    reply, body = ask(server, "/api/answer?batch=0")
    assert reply.status == 400
    assert json.loads(body) == {"error": "batch = 0 is out of range; it must lie between 1 and 64"}


@pytest.mark.parametrize(
    "target", ["/../pyproject.toml", "/%2e%2e/server.py", "//etc/passwd", "/server.py", "/api", "//["]
)
def test_nothing_else_is_served(server: ExplorerServer, target: str) -> None:
    assert ask(server, target)[0].status == 404


def test_head_has_no_body_and_nothing_can_be_sent(server: ExplorerServer) -> None:
    reply, body = ask(server, "/", "HEAD")
    assert (reply.status, body) == (200, b"")
    assert int(reply.headers["Content-Length"]) > 0
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(server, "/api/answer", method)[0].status == 501


def test_a_body_is_not_taken_for_the_next_request(server: ExplorerServer) -> None:
    with connected(server) as connection:
        connection.request("GET", "/api/choices", body=b"GET /nothing HTTP/1.1\r\n\r\n")
        reply = connection.getresponse()
        assert (reply.status, reply.will_close) == (200, True)


def test_a_browser_that_hangs_up_leaves_no_trace(server: ExplorerServer, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.server_port)) as impatient:
            impatient.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            impatient.sendall(b"GET /api/answer HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert ask(server, "/")[0].status == 200
    assert capfd.readouterr().err == ""


def test_it_listens_on_the_loopback_address_alone(server: ExplorerServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_taken_port_is_one_line(server: ExplorerServer) -> None:
    with pytest.raises(
        InputError, match=rf"^port {server.server_port} of 127\.0\.0\.1 cannot be had \(Address already"
    ):
        ExplorerServer(server.server_port, PROFILES)


#: The command with SIGINT heeded: where the tests themselves run in the background it is ignored, and would stay so.
EXPLORE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from prism.cli.main import main
main(["explore", *sys.argv[1:]])
"""


@contextmanager
def explore(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`prism explore` as a process, with the first line that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", EXPLORE, *arguments],
        cwd=folder,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    with explore(tmp_path, "--no-open", "--json") as (process, line):
        told = json.loads(line)
        assert told == {"url": f"http://127.0.0.1:{told['port']}/", "port": told["port"]}
        with closing(http.client.HTTPConnection("127.0.0.1", told["port"], timeout=20)) as connection:
            connection.request("GET", "/api/answer")
            assert connection.getresponse().status == 200
            refused = run_prism("explore", "--no-open", "--port", str(told["port"]), cwd=tmp_path).refusal
            process.send_signal(signal.SIGINT)  # with a connection open
            out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "end with Ctrl-C\nended\n")
    assert refused == (
        f"error: port {told['port']} of 127.0.0.1 cannot be had (Address already in use); choose another --port, "
        "or 0 for a free one"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--port", "70000"), "port = 70000 is out of range; it must lie between 0 and 65535"),
        (("--profile", "nobody.json"), "no profile of that name (orin_nano_published is shipped) and no such file"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, arguments: tuple[str, ...], line: str) -> None:
    assert line in cli("explore", "--no-open", *arguments).refusal


def test_help_has_an_example(cli: Cli) -> None:
    done = cli("explore", "--help")
    assert "prism explore --no-open --port 8765" in " ".join(done.out.split())
    assert "--json" in done.out
