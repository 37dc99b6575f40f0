"""Two pages behind one nginx, below a path: whether visitors stay with theirs, and what happens when one of them ends.

    python -m benchmarks.replicas [--visitors 8]

Needs the program nginx. Serves two pages with SIFA_ROOT_PATH=/sifa and nginx in front, which sends an address always to
the same one (the configuration is that of docs/hosting.md). Each visitor, from an address of its own on this machine,
sends a clip, asks what it shows, opens it on the page and downloads its numbers; then one page is stopped, and all ask
again. Prints what was answered right by whom. A wrong answer ends the run with 1.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.load import Sample, Tally, make_samples
from benchmarks.served import Page, served_page
from benchmarks.visitor import Visitor

ROOT_PATH = "/sifa"
ASKED = ("predict", "explain", "numbers")
CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/errors.log;
events {{}}
http {{
    log_format served "$remote_addr $upstream_addr $status";
    access_log {folder}/access.log served;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;
    upstream pages {{
        hash $remote_addr consistent;
        {servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        location {path}/ {{
            proxy_pass http://pages/;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_set_header Host $host:$server_port;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            client_max_body_size 250m;
        }}
    }}
}}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--visitors", type=int, default=8, metavar="N", help="each from its own address (default 8)")
    options = parser.parse_args(arguments)
    if shutil.which("nginx") is None:
        raise SystemExit("The program nginx is not here; install it, or say where it is in PATH.")
    settings = {"SIFA_ROOT_PATH": ROOT_PATH, "SIFA_PROXIES": "1"}
    with tempfile.TemporaryDirectory() as name, served_page(settings) as one, ExitStack() as second:
        other = second.enter_context(served_page(settings))
        with nginx(Path(name), [one, other]) as address:
            samples = make_samples(Path(name), options.visitors)
            both = ask(address, samples)
            homes = homes_of(Path(name) / "access.log")
            second.close()
            left = ask(address, samples)
    spread = sorted(len([home for home in homes.values() if home == {page}]) for page in set().union(*homes.values()))
    print(
        f"with two pages: {sum(both.right.values())} right answers; addresses with one page each: {sum(spread)} of "
        f"{len(homes)}, {' and '.join(map(str, spread))}\nwith one of them stopped: {sum(left.right.values())} right"
    )
    print("\n".join([*both.wrong, *left.wrong]), end="")
    return 1 if both.wrong or left.wrong or sum(spread) != len(homes) else 0


def ask(address: str, samples: list[Sample]) -> Tally:
    """Have each visitor ask for everything, all at once."""
    tally = Tally()

    def visit(number: int) -> None:
        visitor = Visitor(address, own_address=f"127.0.0.{number + 2}")
        for name in ASKED:
            tally.take(name, visitor, samples[number])
        visitor.close()

    with ThreadPoolExecutor(len(samples)) as pool:
        list(pool.map(visit, range(len(samples))))
    return tally


def homes_of(log: Path) -> dict[str, set[str]]:
    """Which pages have answered each address."""
    homes: dict[str, set[str]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        visitor, page, _ = line.split()
        homes.setdefault(visitor, set()).add(page)
    return homes


@contextmanager
def nginx(folder: Path, pages: list[Page]) -> Iterator[str]:
    """nginx in front of the pages until the end of the `with` block; its address with the path."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    servers = " ".join(f"server {httpx.URL(page.address).netloc.decode()};" for page in pages)
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, servers=servers, port=port, path=ROOT_PATH), encoding="utf-8")
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(file), "-e", str(folder / "errors.log")])
    address = f"http://127.0.0.1:{port}{ROOT_PATH}"
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:  # until it listens
            client.get(f"{address}/healthz", timeout=60).raise_for_status()
        (folder / "access.log").write_text("", encoding="utf-8")
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
