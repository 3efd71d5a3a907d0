"""Canaille (PyPI), the second OpenID provider: another implementation in another language, with people of its own.

    python run.py --state DIR --callback http://127.0.0.1:PORT/callback … [--port N] [--control N]

Prints one line of JSON once it listens. Keys, people and clients are made at the first start and kept in DIR, so that a
restart on the same port is the same provider. Canaille compares redirect addresses exactly, port and all, so the ports
on which programs wait for a sign-in are told here. `--control` opens a second port, for tests, to change groups.

Canaille itself is what the package brings, unchanged; this file only configures, seeds and serves it.
"""

import argparse
import asyncio
import json
import os
import secrets
import socket
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# The person's own settings must not reach this provider.
for name in [name for name in os.environ if name.startswith("CANAILLE")]:
    del os.environ[name]

from canaille.hypercorn.app import create_app  # noqa: E402
from hypercorn.asyncio import serve  # noqa: E402
from hypercorn.config import Config  # noqa: E402
from joserfc.jwk import ECKey, RSAKey  # noqa: E402

# `elin` is somebody else than Harbor ID's Elin: a name means nothing without its issuer.
PEOPLE = {
    "nadia": {"name": "Nadia Okafor", "email": "nadia@quay.example", "groups": ["dba"]},
    "elin": {"name": "Elin Sundqvist", "email": "elin@quay.example", "groups": ["dba"]},
    "mara": {"name": "Mara Lindqvist", "email": "mara@harbor.example", "groups": ["dba"]},
    "piet": {"name": "Piet de Vries", "email": "piet@quay.example", "groups": ["Dba", "dba,admins"]},
}


def client(client_id, name, callbacks, now):
    """A public native client. ES256: RS256 and EdDSA make two identical tokens in one second, which Canaille refuses."""
    return {
        "id": client_id,
        "client_id": client_id,
        "client_name": name,
        "client_id_issued_at": now,
        "client_uri": "http://127.0.0.1",
        "application_type": "native",
        "redirect_uris": callbacks,
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": ["openid", "profile", "email", "groups"],
        "id_token_signed_response_alg": "ES256",
        "audience": [client_id],
    }


def seed(callbacks):
    """What `canaille restore` would read."""
    now = datetime.now(timezone.utc)
    users = [
        {
            "id": sub,
            "created": now,
            "last_modified": now,
            "user_name": sub,
            "password": f"{sub}-demo",
            "formatted_name": person["name"],
            "given_name": person["name"].split(" ", 1)[0],
            "family_name": person["name"].split(" ", 1)[1],
            "emails": [person["email"]],
        }
        for sub, person in PEOPLE.items()
    ]
    names = sorted({group for person in PEOPLE.values() for group in person["groups"]})
    groups = [
        {
            "id": name,
            "created": now,
            "last_modified": now,
            "display_name": name,
            "members": [sub for sub, person in PEOPLE.items() if name in person["groups"]],
        }
        for name in names
    ]
    clients = [
        client("countersign-approver", "Countersign", callbacks, now),
        client("countersign-cli", "Countersign command line", ["http://127.0.0.1:1/callback"], now),
    ]
    return {"user": users, "group": groups, "client": clients}


def kept(state):
    """Keys and secret: made once, then read."""
    path = state / "canaille-keys.json"
    if path.exists():
        return json.loads(path.read_text())
    made = {
        "secret": secrets.token_urlsafe(32),
        "jwks": [
            ECKey.generate_key("P-256", auto_kid=True, parameters={"alg": "ES256", "use": "sig"}).as_dict(private=True),
            RSAKey.generate_key(2048, auto_kid=True, parameters={"alg": "RS256", "use": "sig"}).as_dict(private=True),
        ],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(made))
    return made


def control(app, port):
    """`PUT /people/SUB {"groups": […]}`: from now on the person is in these groups and no others."""
    from canaille.app import models
    from canaille.backends import Backend

    class Door(BaseHTTPRequestHandler):
        def do_PUT(self):  # noqa: N802
            wanted = json.loads(self.rfile.read(int(self.headers["content-length"])))["groups"]
            with app.app_context(), Backend.instance.session():
                person = Backend.instance.get(models.User, user_name=self.path.removeprefix("/people/"))
                for group in Backend.instance.query(models.Group):
                    members = [member for member in group.members if member.id != person.id]
                    group.members = members + [person] if group.display_name in wanted else members
                    Backend.instance.save(group)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    door = ThreadingHTTPServer(("127.0.0.1", port), Door)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{door.server_port}"


async def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--state", type=Path, required=True)
    flags.add_argument("--port", type=int, default=0)
    flags.add_argument("--control", type=int)
    flags.add_argument("--callback", action="append", default=[])
    given = flags.parse_args()
    given.state.mkdir(parents=True, exist_ok=True, mode=0o700)

    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", given.port))
    listening.listen()
    place = f"127.0.0.1:{listening.getsockname()[1]}"
    secret = kept(given.state)
    database = given.state / "canaille.sqlite"
    fresh = not database.exists()
    app = create_app(
        config={
            "SECRET_KEY": secret["secret"],
            "SERVER_NAME": place,
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {
                "NAME": "Quay ID",
                "DATABASE": "sql",
                "JAVASCRIPT": False,
                "HTMX": False,
                "SMTP": None,
                "LOGGING": {
                    "version": 1,
                    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
                    "root": {"level": "WARNING", "handlers": ["stderr"]},
                },
            },
            "CANAILLE_SQL": {"DATABASE_URI": f"sqlite:///{database}", "AUTO_MIGRATE": True, "PASSWORD_SCHEMES": "pbkdf2_sha512"},
            # No domain is trusted: the consent page is always shown.
            "CANAILLE_OIDC": {"ACTIVE_JWKS": secret["jwks"], "TRUSTED_DOMAINS": []},
        },
        env_file=None,
        wrap_asgi=False,
    )
    if fresh:
        from canaille.backends import Backend

        with app.app_context(), Backend.instance.session():
            Backend.instance.restore(seed(given.callback))
    door = control(app, given.control) if given.control is not None else None

    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.accesslog = None
    print(json.dumps({"ready": "canaille", "issuer": f"http://{place}", "control": door, "pid": os.getpid()}), flush=True)
    from asgiref.wsgi import WsgiToAsgi

    await serve(WsgiToAsgi(app), config)


asyncio.run(main())
