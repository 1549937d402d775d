"""nginx in front of Prefect's servers, the consoles and the OpenBao nodes.

What goes to OpenBao is passed on as it comes, still encrypted: nginx cannot read a secret there. A standby node
forwards to the leader, so whichever node is reached will do, and clients need not know who leads. What goes to a
console is never written to a file on the way, for people hand in secrets by a form.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keyturn.errors import ConfigurationError
from keyturn.sandbox.cluster.keeper import Keeper
from keyturn.sandbox.files import write_private
from keyturn.sandbox.processes import Child, Children, Command, environment

_STREAMS = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
_CONFIGURATION = """\
load_module {streams};
{user}daemon off;
worker_processes 2;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log stderr warn;

events {{ worker_connections 4096; }}

http {{
  # Without the query: a link by which somebody signs in is nobody else's business.
  log_format plain '$time_iso8601 $status $request_method $uri $request_time s $upstream_addr $upstream_status';
  access_log {folder}/access.log plain;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_max_temp_file_size 0;
  server_tokens off;

  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}

  upstream prefect {{
    least_conn;
    {prefect}
    keepalive 32;
    keepalive_timeout 3s;  # sooner than the servers hang up, so that no request meets a closed connection
  }}
  upstream console {{
    {console}
  }}

  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_connect_timeout 2s;

  server {{  # Prefect's API and pages; events come and go by WebSocket
    listen 127.0.0.1:{prefect_port};
    client_max_body_size 32m;
    client_body_buffer_size 1m;
    proxy_read_timeout 1h;
    location / {{ proxy_pass http://prefect; }}
  }}
  server {{  # the console; a page that follows what happens stays open
    listen 127.0.0.1:{console_port};
    client_max_body_size 4m;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_read_timeout 1h;
    location / {{ proxy_pass http://console; }}
  }}
}}

stream {{
  upstream openbao {{
    {openbao}
  }}
  server {{
    listen 127.0.0.1:{openbao_port};
    proxy_connect_timeout 1s;
    proxy_timeout 10m;
    proxy_pass openbao;
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Front:
    """One address for clients, and the ports of those behind it."""

    port: int
    behind: Sequence[int]

    @property
    def servers(self) -> str:
        """The lines of an upstream. Who refuses once is left alone for a moment."""
        return "\n    ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;" for port in self.behind)


def start_balancer(children: Children, keeper: Keeper, prefect: Front, console: Front, openbao: Front) -> Child:
    """Start nginx in `<state>/nginx`, and keep it up; those behind it need not be there yet.

    Raises:
        ConfigurationError: Debian's packages are not installed.
        UnavailableError: it does not come up.
    """
    folder = children.state / "nginx"
    folder.mkdir(mode=0o700, exist_ok=True)
    configuration = folder / "nginx.conf"
    text = _CONFIGURATION.format(
        streams=_STREAMS,
        user=_user(),
        folder=folder,
        prefect=prefect.servers,
        console=console.servers,
        openbao=openbao.servers,
        prefect_port=prefect.port,
        console_port=console.port,
        openbao_port=openbao.port,
    )
    write_private(configuration, text)
    argv = [_program(), "-c", str(configuration), "-p", str(folder), "-e", "stderr"]
    child = children.start(Command("nginx", argv, environment(children.state / "home"), folder))
    child.wait_until(lambda: all(_listens(front.port) for front in (prefect, console, openbao)))
    return keeper.keep(child)


def _user() -> str:
    """As root, nginx would hand its work to `nobody`, who may not enter a private folder."""
    return f"user {pwd.getpwuid(0).pw_name};\n" if os.geteuid() == 0 else ""


def _program() -> str:
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None or not _STREAMS.exists():
        remedy = "Run `apt-get install nginx-light libnginx-mod-stream`."
        raise ConfigurationError("cluster", "nginx or its stream module is not installed", remedy)
    return program


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
