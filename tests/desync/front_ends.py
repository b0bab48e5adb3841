"""The front ends: each lane is a port whose clients share one reused connection to the back end."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.support.programs import Program, run

HAPROXY = """
global
    nbthread 1
defaults
    mode http
    http-reuse always
    # Forwards more hostile requests.
    option accept-invalid-http-request
    timeout connect 5s
    timeout client 30s
    timeout queue 30s
    timeout server 30s
{lanes}
"""
HAPROXY_LANE = """
listen lane{lane}
    bind 127.0.0.1:{lane}
    server users 127.0.0.1:{target} maxconn 1 pool-max-conn 1
"""
NGINX = """
daemon off;
master_process off;
error_log {folder}/errors;
pid {folder}/pid;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    # Forwards more hostile requests.
    ignore_invalid_headers off;
    underscores_in_headers on;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
{lanes}
}
"""
NGINX_LANE = """
    upstream lane{lane} { server 127.0.0.1:{target}; keepalive 1; }
    server { listen 127.0.0.1:{lane}; location / { proxy_pass http://lane{lane}; } }
"""
CADDY = """
{
    admin off
    auto_https off
}
{lanes}
"""
CADDY_LANE = """
http://:{lane} {
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{target} {
        transport http {
            keepalive_idle_conns_per_host 1
            max_conns_per_host 1
        }
    }
}
"""
FRONT_ENDS = {
    "haproxy": (HAPROXY, HAPROXY_LANE, ("haproxy", "-f")),
    "nginx": (NGINX, NGINX_LANE, ("nginx", "-e", "stderr", "-c")),
    "caddy": (CADDY, CADDY_LANE, ("caddy", "run", "--adapter", "caddyfile", "--config")),
}


@contextmanager
def front_end(name: str, targets: list[int]) -> Iterator[list[int]]:
    """Start a front end with one lane to each target; yield the ports of the lanes."""
    configuration, lane, command = FRONT_ENDS[name]
    ports = unused_ports(len(targets))
    lanes = "".join(
        lane.replace("{lane}", str(port)).replace("{target}", str(target))
        for port, target in zip(ports, targets, strict=True)
    )
    with tempfile.TemporaryDirectory(prefix="users-front-end-") as folder:
        environment = {"HOME": folder}  # Caddy writes its state there.
        program = Program(Path(folder), configuration.replace("{lanes}", lanes), *command, env=environment)
        program.port = ports[-1]
        with run(program):
            yield ports


def unused_ports(number: int) -> list[int]:
    """Return different unused ports of the loopback interface."""
    with ExitStack() as probes:
        sockets = [probes.enter_context(closing(socket.socket())) for _ in range(number)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in sockets]
