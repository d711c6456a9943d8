"""A stand-in for Hetzner Cloud's API on loopback: what the module's plan, apply and destroy ask.

    with Hetzner(addresses=["198.51.100.2"]) as cloud:
        terraform("apply", env={"HCLOUD_ENDPOINT": cloud.endpoint, "HCLOUD_TOKEN": cloud.token})
        cloud.requests    # (method, path, body) of everything that changed something

It refuses what the cloud refuses and a module may get wrong: a wrong token, a name taken twice, an
unknown location, more than 32 KiB of user data, deleting what is protected or still in use.
A path that it does not know is answered 404 and kept in `unknown`.
"""
from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterable
from types import TracebackType
from typing import Any

Json = dict[str, Any]
TOKEN = "t" * 64  # the provider wants so many characters
USER_DATA_MAX = 32 * 1024
CORES = {"cx23": 2, "cpx22": 2, "cpx42": 8}
LOCATIONS = {"fsn1": "eu-central", "nbg1": "eu-central", "hel1": "eu-central"}
SINGULAR = {
    "servers": "server", "volumes": "volume", "firewalls": "firewall",
    "primary_ips": "primary_ip", "placement_groups": "placement_group",
}  # fmt: skip
WHEN = "2026-01-01T00:00:00+00:00"


class Refused(Exception):
    """What the API answers instead: an HTTP status, the API's code and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Hetzner:
    """The API and its state. addresses: the primary IPs to give out, in this order."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self.requests: list[tuple[str, str, Json]] = []
        self.unknown: list[str] = []
        self.made: dict[str, dict[int, Json]] = {kind: {} for kind in SINGULAR}
        self.token = TOKEN
        self._addresses = iter(addresses)
        self._next_id = 1000
        self._lock = threading.Lock()
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                given = self.headers.get("authorization") == f"Bearer {TOKEN}"
                status, answer = cloud.answer(self.command, self.path, body, authorized=given)
                raw = json.dumps(answer).encode() if answer is not None else b""
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Hetzner:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def bodies(self, method: str, path: str) -> list[Json]:
        """Bodies of the requests `method` `path`, oldest first; path without /v1."""
        return [body for verb, at, body in self.requests if (verb, at) == (method, path)]

    def answer(
        self, method: str, target: str, body: Json, *, authorized: bool
    ) -> tuple[int, Json | None]:
        """Status and body of the answer to one request."""
        url = urllib.parse.urlsplit(target)
        path = url.path.removeprefix("/v1")
        query = dict(urllib.parse.parse_qsl(url.query))
        with self._lock:
            if method != "GET":
                self.requests.append((method, path, body))
            try:
                if not authorized:
                    raise Refused(401, "unauthorized", "unable to authenticate")
                return self._route(method, path.strip("/").split("/"), query, body)
            except Refused as refused:
                if refused.code == "no_route":
                    self.unknown.append(f"{method} {path}")
                return refused.status, {"error": {"code": refused.code, "message": str(refused)}}

    def _route(
        self, method: str, parts: list[str], query: Json, body: Json
    ) -> tuple[int, Json | None]:
        match method, *parts:
            case "GET", "server_types" | "images" | "locations" as kind:
                return 200, _page(kind, [one for one in _catalogue(kind) if _asked(one, query)])
            case "GET", kind if kind in self.made:
                return 200, _page(kind, [one for one in self.made[kind].values()
                                         if _asked(one, query)])  # fmt: skip
            case "GET", kind, number if kind in self.made:
                return 200, {SINGULAR[kind]: self._one(kind, number)}
            case "POST", kind if kind in self.made:
                thing = self._make(kind, body)
                return 201, {SINGULAR[kind]: thing, "action": _done(), "next_actions": []}
            case "DELETE", kind, number if kind in self.made:
                self._delete(kind, self._one(kind, number))
                return (200, {"action": _done()}) if kind == "servers" else (204, None)
            case "POST", kind, number, "actions", verb if kind in self.made:
                self._act(self._one(kind, number), verb, body)
                return 201, {"action": _done()}
        raise Refused(404, "no_route", f"no {method} {'/'.join(parts)} here")

    def _one(self, kind: str, number: str) -> Json:
        thing = self.made[kind].get(int(number))
        if thing is None:
            raise Refused(404, "not_found", f"{SINGULAR[kind]} {number} not found")
        return thing

    def _make(self, kind: str, body: Json) -> Json:
        if any(one["name"] == body["name"] for one in self.made[kind].values()):
            raise Refused(409, "uniqueness_error", f"name {body['name']} is already used")
        if "location" in body and body["location"] not in LOCATIONS:
            raise Refused(422, "invalid_input", f"location {body['location']} does not exist")
        self._next_id += 1
        thing = {
            "id": self._next_id, "name": body["name"], "labels": body.get("labels") or {},
            "created": WHEN, "protection": {"delete": False, "rebuild": False},
        }  # fmt: skip
        if "location" in body:
            thing["location"] = _location(body["location"])
        thing |= getattr(self, f"_new_{SINGULAR[kind]}")(body, thing["id"])
        self.made[kind][thing["id"]] = thing
        return thing

    def _new_primary_ip(self, body: Json, number: int) -> Json:
        return {
            "ip": next(self._addresses), "type": body["type"], "dns_ptr": [], "blocked": False,
            "assignee_id": None, "assignee_type": "server", "auto_delete": body["auto_delete"],
        }  # fmt: skip

    def _new_volume(self, body: Json, number: int) -> Json:
        return {
            "size": body["size"], "server": None, "status": "available", "format": None,
            "linux_device": f"/dev/disk/by-id/scsi-0HC_Volume_{number}",
        }  # fmt: skip

    def _new_firewall(self, body: Json, number: int) -> Json:
        return {"rules": body.get("rules") or [], "applied_to": []}

    def _new_placement_group(self, body: Json, number: int) -> Json:
        return {"type": body["type"], "servers": []}

    def _new_server(self, body: Json, number: int) -> Json:
        if len(body.get("user_data", "")) > USER_DATA_MAX:
            raise Refused(422, "invalid_input", "user_data is too long")
        address = self._one("primary_ips", body["public_net"]["ipv4"])
        address["assignee_id"] = number
        walls = [one["firewall"] for one in body.get("firewalls", [])]
        group = self._one("placement_groups", body["placement_group"])
        group["servers"].append(number)
        if len(group["servers"]) > 10:
            raise Refused(422, "placement_error", "a spread group takes ten servers")
        return {
            "status": "running", "server_type": _server_type(body["server_type"]),
            "image": _image("debian-12"), "placement_group": group, "private_net": [],
            "volumes": [], "iso": None, "rescue_enabled": False, "locked": False,
            "backup_window": None, "primary_disk_size": 40, "load_balancers": [],
            "public_net": {
                "ipv4": {"id": address["id"], "ip": address["ip"], "blocked": False},
                "ipv6": None, "floating_ips": [],
                "firewalls": [{"id": wall, "status": "applied"} for wall in walls],
            },
        }  # fmt: skip

    def _act(self, thing: Json, verb: str, body: Json) -> None:
        match verb:
            case "change_protection":
                thing["protection"] |= body
            case "attach":
                thing["server"] = self._one("servers", body["server"])["id"]
            case "detach":
                thing["server"] = None
            case "attach_to_network":
                thing["private_net"].append(
                    {"network": body["network"], "ip": body["ip"], "alias_ips": [],
                     "mac_address": "86:00:00:00:00:01"}
                )  # fmt: skip
            case "poweroff" | "shutdown":
                thing["status"] = "off"
            case "unassign":
                thing["assignee_id"] = None
            case _:
                raise Refused(404, "no_route", f"no action {verb} here")

    def _delete(self, kind: str, thing: Json) -> None:
        if thing["protection"]["delete"]:
            raise Refused(423, "protected", f"{thing['name']} is protected against deletion")
        if thing.get("server") or any(
            wall["id"] == thing["id"]
            for one in self.made["servers"].values() if kind == "firewalls"
            for wall in one["public_net"]["firewalls"]
        ):  # fmt: skip
            raise Refused(409, "resource_in_use", f"{thing['name']} is in use")
        if kind == "servers":
            for address in self.made["primary_ips"].values():
                if address["assignee_id"] == thing["id"]:
                    address["assignee_id"] = None
        del self.made[kind][thing["id"]]


def _asked(one: Json, query: Json) -> bool:
    return all(one[key] == query[key] for key in ("name", "architecture") if key in query)


def _page(kind: str, found: list[Json]) -> Json:
    page = {"page": 1, "per_page": 50, "previous_page": None, "next_page": None, "last_page": 1}
    return {kind: found, "meta": {"pagination": page | {"total_entries": len(found)}}}


def _done() -> Json:
    return {
        "id": 1, "command": "done", "status": "success", "progress": 100, "started": WHEN,
        "finished": WHEN, "resources": [], "error": None,
    }  # fmt: skip


def _catalogue(kind: str) -> list[Json]:
    if kind == "server_types":
        return [_server_type(name) for name in CORES]
    return [_location(name) for name in LOCATIONS] if kind == "locations" else [_image("debian-12")]


def _server_type(name: str) -> Json:
    if name not in CORES:
        raise Refused(422, "invalid_input", f"server type {name} does not exist")
    return {
        "id": 1 + list(CORES).index(name), "name": name, "description": name.upper(),
        "cores": CORES[name], "memory": 4, "disk": 40, "prices": [], "storage_type": "local",
        "cpu_type": "shared", "architecture": "x86", "category": "shared", "locations": [],
    }  # fmt: skip


def _location(name: str) -> Json:
    return {
        "id": 1 + list(LOCATIONS).index(name), "name": name, "description": name, "country": "DE",
        "city": name, "latitude": 50.0, "longitude": 12.0, "network_zone": LOCATIONS[name],
    }  # fmt: skip


def _image(name: str) -> Json:
    return {
        "id": 114690387, "type": "system", "status": "available", "name": name, "disk_size": 5,
        "description": name, "image_size": None, "created": WHEN, "created_from": None,
        "bound_to": None, "os_flavor": "debian", "os_version": "12", "rapid_deploy": True,
        "protection": {"delete": False}, "deprecated": None, "labels": {}, "deleted": None,
        "architecture": "x86",
    }  # fmt: skip
