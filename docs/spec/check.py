#!/usr/bin/env python3
"""Checks every vector of this folder, from the text of the specification alone.

It shares no code with Countersign: JSON, JCS, Ed25519 (RFC 8032), ECDSA over P-256, JWS, bindings, and the
verification of evidence are written here once more, in plain Python without packages. It is meant to be read
beside the specification, not to be fast or constant in time; never sign with it. One file, so that it can be taken along.

    python3 docs/spec/check.py
"""

import base64
import binascii
import hashlib
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SKEW = 60


class Refused(Exception):
    """A rule refused; `code` names it, `step` is the protocol's where there is one."""

    def __init__(self, code, step=None):
        super().__init__(code)
        self.code, self.step = code, step


# --- base64url, digests -------------------------------------------------------------------------


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text, code="not_base64url", step=None):
    """Strict: no padding, no stray bits, nothing outside the alphabet."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise Refused(code, step)
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64u(data) != text:
        raise Refused(code, step)
    return data


def sha256(data):
    return hashlib.sha256(data).digest()


def digest(data):
    return b64u(sha256(data))


def tagged(tag, data):
    return sha256(tag.encode() + b"\n" + data)


# --- strict JSON and JCS (operation.md) ---------------------------------------------------------

NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
MAX_INTEGER = 2**53 - 1


def strict_json(data, max_bytes=64 * 1024, max_depth=16):
    if len(data) > max_bytes:
        raise Refused("too_long")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("not_utf8") from None
    if text.startswith("\ufeff"):
        raise Refused("byte_order_mark")

    def members(pairs):
        found = {}
        for name, value in pairs:
            if not NAME.fullmatch(name):
                raise Refused("member_name")
            if name in found:
                raise Refused("duplicate_member")
            found[name] = value
        return found

    def integer(text):
        if text == "-0" or abs(int(text)) > MAX_INTEGER:
            raise Refused("number")
        return int(text)

    def no_float(_):
        raise Refused("number")

    def no_constant(_):
        raise Refused("syntax")

    try:
        value = json.loads(
            text, object_pairs_hook=members, parse_int=integer, parse_float=no_float, parse_constant=no_constant
        )
    except (ValueError, RecursionError):
        raise Refused("syntax") from None
    check_tree(value, max_depth)
    return value


def check_tree(value, depth_left):
    if isinstance(value, str):
        for char in map(ord, value):
            if 0xD800 <= char <= 0xDFFF:
                raise Refused("syntax")  # an unpaired surrogate
            if 0xFDD0 <= char <= 0xFDEF or char & 0xFFFE == 0xFFFE:
                raise Refused("noncharacter")
    elif isinstance(value, (list, dict)):
        if depth_left == 0:
            raise Refused("too_deep")
        for inner in value.values() if isinstance(value, dict) else value:
            check_tree(inner, depth_left - 1)


def jcs(value):
    """RFC 8785 for what the strict reader lets through: names are ASCII, numbers are integers."""
    if isinstance(value, dict):
        inner = ",".join(json.dumps(name) + ":" + jcs(value[name]).decode() for name in sorted(value))
        return ("{" + inner + "}").encode()
    if isinstance(value, list):
        return ("[" + ",".join(jcs(item).decode() for item in value) + "]").encode()
    return json.dumps(value, ensure_ascii=False).encode()


def canonical_json(data):
    value = strict_json(data)
    if jcs(value) != data:
        raise Refused("not_canonical")
    return value


# --- operation ----------------------------------------------------------------------------------

ISSUER = re.compile(r"(https://[^/|?#@\s]+|http://(127\.0\.0\.1|localhost|\[::1\])(:[1-9][0-9]*)?)(/[^|?#@\s]*)?")
PEP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def need(condition, code="operation_shape"):
    if not condition:
        raise Refused(code)


def exactly(value, required, optional=()):
    need(isinstance(value, dict))
    need(set(required) <= set(value) <= set(required) | set(optional))


def subject(text):
    need(isinstance(text, str) and "|" in text)
    iss, sub = text.split("|", 1)
    need(ISSUER.fullmatch(iss) and re.fullmatch(r"[ -~]{1,255}", sub))
    return iss, sub


def operation(data):
    value = canonical_json(data)
    exactly(value, ["subject", "action", "resource", "context"])
    exactly(value["subject"], ["type", "id"], ["properties"])
    subject(value["subject"]["id"])
    properties = value["subject"].get("properties", {})
    exactly(properties, [], ["claims", "device", "location", "act"])
    act = properties.get("act")
    while act is not None:
        exactly(act, ["iss", "sub"], ["act"])
        act = act.get("act")
    exactly(value["action"], ["name"], ["properties"])
    exactly(value["resource"], ["type", "id"], ["properties"])
    for text in (value["subject"]["type"], value["action"]["name"], value["resource"]["type"]):
        need(isinstance(text, str) and NAME.fullmatch(text))
    context = value["context"]
    exactly(context, ["pep", "nonce"], ["justification", "ticket"])
    need(isinstance(context["pep"], str) and PEP.fullmatch(context["pep"]))
    need(len(unb64u(context["nonce"], "operation_shape")) == 16)
    return value


def actors(value):
    act = value["subject"].get("properties", {}).get("act")
    while act is not None:
        yield act["iss"], act["sub"]
        act = act.get("act")


# --- matching words -----------------------------------------------------------------------------

WORDS = (HERE / "words.txt").read_text().split()


def matching_words(request_jws_digest):
    bits = int.from_bytes(tagged("countersign/match/v1", unb64u(request_jws_digest))[:3], "big") >> 2
    return [WORDS[bits >> 11], WORDS[bits & 2047]]


# --- Ed25519 (RFC 8032), without cofactor, as `verify_strict` has it ------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def ed_add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    u, v = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    w, z = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = v - u, z - w, z + w, v + u
    return e * f % P, g * h % P, f * g % P, e * h % P


def ed_mul(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = ed_add(result, point)
        point = ed_add(point, point)
        scalar >>= 1
    return result


def ed_decode(data):
    """A point, or None where the text is not its one canonical spelling."""
    sign, y = data[31] >> 7, int.from_bytes(data, "little") & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def ed_encode(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def small_order(point):
    return ed_encode(ed_mul(8, point)) == ed_encode((0, 1, 1, 0))


BASE = ed_decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_key(x):
    point = ed_decode(x) if len(x) == 32 else None
    if point is None or small_order(point):
        raise Refused("key")
    return point


def ed25519_verifies(x, message, signature):
    if len(signature) != 64:
        return False
    r, s = ed_decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if r is None or s >= L or small_order(r):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + x + message).digest(), "little") % L
    x_, y_, z_, t_ = ed25519_key(x)
    minus = (P - x_, y_, z_, P - t_)
    return ed_encode(ed_add(ed_mul(s, BASE), ed_mul(k, minus))) == signature[:32]


# --- ECDSA over P-256 ---------------------------------------------------------------------------

EC_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
EC_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
EC_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
EC_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def ec_add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % EC_P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], EC_P - 2, EC_P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], EC_P - 2, EC_P)
    x = (slope * slope - a[0] - b[0]) % EC_P
    return x, (slope * (a[0] - x) - a[1]) % EC_P


def ec_mul(scalar, point):
    result = None
    while scalar:
        if scalar & 1:
            result = ec_add(result, point)
        point = ec_add(point, point)
        scalar >>= 1
    return result


def p256_key(x, y):
    if len(x) != 32 or len(y) != 32:
        raise Refused("key")
    x, y = int.from_bytes(x, "big"), int.from_bytes(y, "big")
    if x >= EC_P or y >= EC_P or (y * y - (x * x * x - 3 * x + EC_B)) % EC_P:
        raise Refused("key")
    return x, y


def es256_verifies(key, message, signature, low_s):
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < EC_N and 0 < s < EC_N) or (low_s and s > EC_N // 2):
        return False
    inverse = pow(s, EC_N - 2, EC_N)
    e = int.from_bytes(sha256(message), "big")
    point = ec_add(ec_mul(e * inverse % EC_N, EC_G), ec_mul(r * inverse % EC_N, key))
    return point is not None and point[0] % EC_N == r


# --- JWK and JWS (binding.md) -------------------------------------------------------------------


class Key:
    """A public key: exactly the required members of its JWK."""

    def __init__(self, jwk):
        shapes = {("OKP", "Ed25519"): {"kty", "crv", "x"}, ("EC", "P-256"): {"kty", "crv", "x", "y"}}
        if not isinstance(jwk, dict) or shapes.get((jwk.get("kty"), jwk.get("crv"))) != set(jwk):
            raise Refused("key")
        self.jwk = jwk
        self.x = unb64u(jwk["x"], "key")
        if jwk["kty"] == "OKP":
            self.alg = "Ed25519"
            ed25519_key(self.x)
        else:
            self.alg = "ES256"
            self.point = p256_key(self.x, unb64u(jwk["y"], "key"))

    def thumbprint(self):
        return digest(jcs(self.jwk))

    def verifies(self, message, signature):
        if self.alg == "Ed25519":
            return ed25519_verifies(self.x, message, signature)
        return es256_verifies(self.point, message, signature, low_s=True)


def split(compact):
    parts = compact.split(".")
    if len(parts) != 3 or not all(parts) or len(compact) > 64 * 1024:
        raise Refused("jws_malformed")
    return parts


def jws_peek(compact, typ):
    header, payload, signature = split(compact)
    unb64u(signature, "jws_malformed")
    try:
        header = strict_json(unb64u(header, "jws_malformed"))
    except Refused as refused:
        raise Refused("jws_malformed" if refused.code == "jws_malformed" else "jws_header") from None
    if not isinstance(header, dict) or set(header) != {"alg", "typ", "kid"}:
        raise Refused("jws_header")
    if not all(isinstance(value, str) for value in header.values()):
        raise Refused("jws_header")
    if header["alg"] not in ("Ed25519", "ES256"):
        raise Refused("jws_alg")
    if header["typ"] != typ:
        raise Refused("jws_typ")
    data = unb64u(payload, "jws_malformed")
    try:
        return header, strict_json(data)
    except Refused:
        raise Refused("jws_payload") from None


def jws_verify(compact, typ, key):
    header, payload = jws_peek(compact, typ)
    if header["alg"] != key.alg:
        raise Refused("jws_alg")
    if header["kid"] != key.thumbprint():
        raise Refused("jws_kid")
    message, signature = compact.rsplit(".", 1)
    if not key.verifies(message.encode(), unb64u(signature)):
        raise Refused("jws_signature")
    return payload


# --- the documents' members ---------------------------------------------------------------------

MEMBERS = {
    "countersign-pep+jwt": ({"iss", "aud", "iat", "exp", "jti"}, set()),
    "countersign-pop+jwt": ({"aud", "nonce", "cic_digest", "iat"}, set()),
    "countersign-ask+jwt": ({"iss", "aud", "operation_digest", "requirement", "iat", "exp"}, set()),
    "countersign-request+jwt": (
        {"iss", "aud", "jti", "iat", "exp", "txn", "operation_digest", "ask_digest", "pep", "sub_id"}
        | {"requirement", "policy_digest"},
        set(),
    ),
    "countersign-vote+jwt": (
        {"iss", "sub_id", "aud", "jti", "iat", "exp", "txn", "vote", "operation_digest", "request_jws_digest"}
        | {"nonce", "binding_id", "policy_digest", "display"},
        {"stage", "prior", "consent_jkt", "reason", "match", "supersedes"},
    ),
    "countersign-grant+jwt": (
        {"iss", "aud", "jti", "iat", "nbf", "exp", "txn", "operation_digest", "request_jws_digest", "votes"}
        | {"policy_digest", "max_uses"},
        set(),
    ),
}


def read_document(payload, typ):
    required, optional = MEMBERS[typ]
    if not isinstance(payload, dict) or not required <= set(payload) <= required | optional:
        raise Refused("document_members")
    for name in {"iat", "exp", "nbf"} & set(payload):
        if not isinstance(payload[name], int) or isinstance(payload[name], bool) or payload[name] < 0:
            raise Refused("document_members")
    if "requirement" in payload:
        read_requirement(payload["requirement"])
    if typ == "countersign-vote+jwt":
        read_vote(payload)
    if typ == "countersign-grant+jwt" and payload["max_uses"] != 1:
        raise Refused("document_members")
    if typ == "countersign-request+jwt" and payload["aud"] != "approvers":
        raise Refused("document_members")
    return payload


URI = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"


DIGEST_OF_NOTHING = digest(b"")


def is_digest(value):
    try:
        return isinstance(value, str) and len(unb64u(value)) == 32
    except Refused:
        return False


def is_prior(value):
    if not isinstance(value, list) or not 1 <= len(value) <= 32 or not all(map(is_digest, value)):
        return False
    return len(set(value)) == len(value)


def is_stage(value):
    return isinstance(value, str) and re.fullmatch(r"[a-z0-9_-]{1,32}", value) is not None


def read_vote(payload):
    audience, display = payload["aud"], payload["display"]
    good = (
        payload["vote"] in ("approve", "deny")
        and isinstance(audience, list)
        and len(audience) == 2
        and all(isinstance(item, str) for item in audience)
        and isinstance(payload["iss"], str)
        and payload["iss"].startswith(URI)
        and isinstance(payload["sub_id"], dict)
        and set(payload["sub_id"]) == {"format", "iss", "sub"}
        and payload["sub_id"]["format"] == "iss_sub"
        and isinstance(display, dict)
        and set(display) == {"renderer", "sha256"}
        and payload.get("reason") != ""
        and is_stage(payload.get("stage", "x"))
        and is_prior(payload.get("prior", [DIGEST_OF_NOTHING]))
        and is_digest(payload.get("consent_jkt", DIGEST_OF_NOTHING))
    )
    if not good:
        raise Refused("document_members")


ORDERS = {"reason": ["optional", "on_deny", "always"], "notify_buttons": ["both", "deny", "none"]}
EQUAL = ["by", "stages", "step_up", "acr", "scope", "match", "urgent", "irreversible", "lift"]
TIMES = ["fresh_claims_secs", "ttl_secs", "grant_secs"]
# The order in which a refusal names its member.
NAMED = ["by", "approvals", "stages", "step_up", "acr", "scope", "match", "hold", "fresh_claims_secs"]
NAMED += ["release_claims_secs", "reason", "notify_buttons", "ttl_secs", "grant_secs", "urgent", "irreversible", "lift"]


def read_requirement(value):
    required = {"by", "approvals", "step_up", "match", "fresh_claims_secs", "reason", "notify_buttons"}
    required |= {"ttl_secs", "grant_secs"}
    optional = {"stages", "acr", "scope", "hold", "release_claims_secs", "urgent", "irreversible", "lift"}
    values = {
        "by": ["others", "requester"],
        "step_up": ["none", "oidc", "webauthn"],
        "match": ["none", "words"],
        **ORDERS,
    }
    good = isinstance(value, dict) and required <= set(value) <= required | optional
    good = good and all(value[name] in allowed for name, allowed in values.items())
    for name in TIMES + ["approvals"] + (["release_claims_secs"] if good and "release_claims_secs" in value else []):
        good = good and isinstance(value[name], int) and value[name] > 0
    good = good and value.get("urgent", True) is True and value.get("hold", True) is True
    good = good and value["approvals"] <= 32 and value.get("lift") != []
    good = good and ("stages" not in value or are_stages(value["stages"], value["approvals"]))
    if not good:
        raise Refused("document_members")


def are_stages(stages, approvals):
    if not isinstance(stages, list) or not 2 <= len(stages) <= 8:
        return False
    for stage in stages:
        if not isinstance(stage, dict) or set(stage) != {"name", "approvals"} or not is_stage(stage["name"]):
            return False
        if type(stage["approvals"]) is not int or not 1 <= stage["approvals"] <= 32:
            return False
    names = {stage["name"] for stage in stages}
    return len(names) == len(stages) and sum(stage["approvals"] for stage in stages) == approvals


def laxer(mine, theirs):
    """The first member of `theirs` that demands less than `mine`, or None."""
    for name in NAMED:
        a, b = mine.get(name), theirs.get(name)
        if name in EQUAL:
            holds = a == b
        elif name == "approvals":
            holds = b >= a
        elif name in TIMES:
            holds = b <= a
        elif name == "release_claims_secs":
            holds = a is None or (b is not None and b <= a)
        elif name == "hold":
            holds = a is None or b is True
        else:
            holds = ORDERS[name].index(b) >= ORDERS[name].index(a)
        if not holds:
            return name
    return None


# --- bindings (binding.md) ----------------------------------------------------------------------


def read_statement(cic):
    try:
        value = canonical_json(cic)
        members = {"alg", "aud", "authenticators", "jwk", "rz", "session_jkt", "typ"}
        if not isinstance(value, dict) or set(value) != members or value["typ"] != "countersign-binding+v1":
            raise Refused("members")
        key = Key(value["jwk"])
        if value["alg"] != key.alg or len(unb64u(value["rz"])) != 32 or len(unb64u(value["session_jkt"])) != 32:
            raise Refused("members")
        for authenticator in value["authenticators"]:
            if set(authenticator) != {"jwk", "rp_id"}:
                raise Refused("members")
            Key(authenticator["jwk"])
    except Refused:
        raise Refused("binding_unreadable") from None
    return value, key


BINDING_CODES = {
    "token_key_unknown": "binding_key_unknown",
    "token_signature": "binding_signature",
    "token_audience": "binding_audience",
    "token_nonce": "binding_nonce",
    "token_not_bound": "binding_not_bound",
    "token_other_key": "binding_other_key",
}


def seconds(claims, name):
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise Refused("token_claim")
    return int(value)


def provider_signed(compact, config, jwks):
    """Header and claims of a provider's token, whose signature holds."""
    header, claims, signature = split(compact)
    head, claims = json.loads(unb64u(header)), json.loads(unb64u(claims))
    if head["alg"] == "none" or head["alg"].startswith("HS") or head["alg"] not in config["algorithms"]:
        raise Refused("token_alg")
    jwk = next((jwk for jwk in jwks["keys"] if jwk["kid"] == head.get("kid")), None)
    if jwk is None:
        raise Refused("token_key_unknown")
    point = p256_key(unb64u(jwk["x"]), unb64u(jwk["y"]))
    message = compact.rsplit(".", 1)[0].encode()
    # A provider's ES256 signature may have a high s.
    if head["alg"] != "ES256" or not es256_verifies(point, message, unb64u(signature), low_s=False):
        raise Refused("token_signature")
    return head, claims


def confirmed(cnf):
    """The thumbprint of the one key that a token's `cnf` names, or none."""
    if not isinstance(cnf, dict) or not cnf or set(cnf) - {"jwk", "jkt"}:
        return None
    names = set()
    if "jwk" in cnf:
        if not isinstance(cnf["jwk"], dict) or set(cnf["jwk"]) & {"d", "k", "p", "q"}:
            return None
        try:
            names.add(Key({n: v for n, v in cnf["jwk"].items() if n in ("kty", "crv", "x", "y")}).thumbprint())
        except Refused:
            return None
    if "jkt" in cnf:
        names.add(cnf["jkt"])
    return names.pop() if len(names) == 1 else None


def id_token(compact, config, jwks, nonce, now, as_of_issue, device=None):
    """`device` is the key that the token may be bound to (Key Binding), where it may be bound at all."""
    head, claims = provider_signed(compact, config, jwks)
    typ = head.get("typ", "JWT").lower()
    bound, rule = typ == "dpop+id_token", config.get("key_binding", "accepted")
    if typ != "jwt" and not (bound and device and rule != "refused"):
        raise Refused("token_typ")
    if bound != ("cnf" in claims) or (bound and confirmed(claims["cnf"]) is None):
        raise Refused("token_cnf")
    if device and rule == "required" and not bound:
        raise Refused("token_not_bound")
    if bound and confirmed(claims["cnf"]) != device.thumbprint():
        raise Refused("token_other_key")
    if {"events", "scope", "client_id", "toe"} & set(claims):
        raise Refused("token_foreign_claim")
    if claims["iss"] != config["issuer"]:
        raise Refused("token_issuer")
    audience = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
    if audience != [config["client_id"]] or claims.get("azp", config["client_id"]) != config["client_id"]:
        raise Refused("token_audience")
    iat, exp = seconds(claims, "iat"), seconds(claims, "exp")
    if iat > now + SKEW:
        raise Refused("token_future")
    if exp <= iat or exp + SKEW < (iat if as_of_issue else now):
        raise Refused("token_expired")
    if claims.get("nonce") != nonce:
        raise Refused("token_nonce")
    return claims


def binding(cic, compact, server, config, jwks, now, as_of_issue=False):
    statement, key = read_statement(cic)
    if statement["aud"] != server:
        raise Refused("server_differs")
    nonce = b64u(tagged("countersign/binding/v1", cic))
    try:
        claims = id_token(compact, config, jwks, nonce, now, as_of_issue, key)
    except Refused as refused:
        raise Refused(BINDING_CODES.get(refused.code, refused.code)) from None
    auth_time = seconds(claims, "auth_time") if "auth_time" in claims else 0
    if auth_time == 0:
        raise Refused("auth_time_missing")
    if claims["iat"] - auth_time > 300:
        raise Refused("auth_time_too_old")
    if auth_time > claims["iat"] + SKEW:
        raise Refused("auth_time_in_future")
    return statement, key, claims, auth_time


# --- step-up (step-up.md) -----------------------------------------------------------------------


def step_up_code(prefix, code):
    return prefix + code.removeprefix("token")


def step_up(vote, payload, requirement, statement, bound, trust, jwks, now):
    wanted, found = requirement["step_up"], vote.get("step_up")
    extras = {"acr", "scope"} & set(requirement)
    if (wanted != "oidc" and extras) or (wanted == "none" and requirement["by"] == "requester"):
        raise Refused("step_up_contradictory")
    if wanted == "none":
        if found is not None:
            raise Refused("step_up_unasked")
        return
    if found is None:
        raise Refused("step_up_missing")
    if found["type"] != wanted:
        raise Refused("step_up_other_means")
    nonce = b64u(tagged("countersign/step-up/v1", vote["jws"].encode()))
    if wanted == "webauthn":
        assertion(found, nonce, statement)
    else:
        sign_in(found, nonce, payload, requirement, bound, trust, jwks, now)


def sign_in(found, nonce, payload, requirement, bound, trust, jwks, now):
    need(trust.get("step_up", "oidc") == "oidc", "step_up_not_offered")
    try:
        claims = id_token(found["id_token"], trust, jwks, nonce, now, True)
    except Refused as refused:
        raise Refused(step_up_code("step_up", refused.code)) from None
    voter = payload["sub_id"]["sub"]
    need(claims["sub"] == voter, "step_up_other_account")
    auth_time = seconds(claims, "auth_time") if "auth_time" in claims else 0
    need(auth_time, "step_up_auth_time_missing")
    need(auth_time >= payload["iat"] - 5, "step_up_before_vote")
    need(auth_time <= payload["exp"], "step_up_too_late")
    need(auth_time <= claims["iat"] + SKEW, "step_up_auth_time_in_future")
    if "acr" in requirement:
        need("acr" in claims, "step_up_acr_missing")
        need(claims["acr"] == requirement["acr"], "step_up_acr_differs")
        allowed = trust.get("acrs")
        need(allowed is None or requirement["acr"] in allowed, "step_up_acr_not_this_provider")
    if "scope" in requirement:
        consent(found, claims, payload, requirement["scope"], trust, jwks, now)
    if isinstance(trust.get("person"), list):
        for name in trust["person"]:
            need(name not in claims or claims[name] == bound.get(name), "step_up_other_person")


def consent(found, signed_in, payload, scope, trust, jwks, now):
    need("access_token" in found, "consent_missing")
    compact = found["access_token"]
    try:
        head, claims = provider_signed(compact, trust, jwks)
        if claims["iss"] != trust["issuer"]:
            raise Refused("token_issuer")
    except Refused as refused:
        raise Refused(step_up_code("consent", refused.code)) from None
    need(head.get("typ", "").lower() in ("at+jwt", "application/at+jwt"), "consent_typ")
    need(claims["sub"] == payload["sub_id"]["sub"], "consent_subject")
    need({claims["client_id"], claims.get("azp", claims["client_id"])} == {trust["client_id"]}, "consent_client")
    audience = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
    need(audience == [trust["server"] + "/step-up"], "consent_audience")
    need(scope in claims.get("scope", "").split(" "), "consent_scope")
    iat, exp = seconds(claims, "iat"), seconds(claims, "exp")
    need(iat >= payload["iat"] - 5, "consent_before_vote")
    need(max(iat, claims.get("nbf", iat)) <= now + SKEW, "consent_in_future")
    need(iat <= payload["exp"] + SKEW, "consent_too_late")
    need(exp > iat, "consent_times")
    # The vectors' provider signs by ES256: the left half of SHA-256.
    at_hash = b64u(sha256(compact.encode())[:16])
    need(signed_in.get("at_hash", at_hash) == at_hash, "consent_at_hash")
    by_key = "consent_jkt" in payload and claims.get("cnf", {}).get("jkt") == payload["consent_jkt"]
    need("at_hash" in signed_in or by_key, "consent_not_tied")


def der_signature(data):
    """ECDSA's r and s from strict DER, as 64 bytes."""

    def integer(at):
        need(data[at] == 2, "step_up_assertion_signature")
        length = data[at + 1]
        value = data[at + 2 : at + 2 + length]
        minimal = 0 < length == len(value) and value[0] < 0x80 and (length == 1 or value[0] or value[1] & 0x80)
        need(minimal and len(value.lstrip(b"\0")) <= 32, "step_up_assertion_signature")
        return value.lstrip(b"\0").rjust(32, b"\0"), at + 2 + length

    need(len(data) > 8 and data[0] == 0x30 and data[1] == len(data) - 2, "step_up_assertion_signature")
    r, at = integer(2)
    s, end = integer(at)
    need(end == len(data), "step_up_assertion_signature")
    return r + s


def assertion(found, challenge, statement):
    unreadable = "step_up_assertion_unreadable"
    data = unb64u(found["authenticator_data"], unreadable)
    client_data = unb64u(found["client_data_json"], unreadable)
    signature = unb64u(found["signature"], unreadable)
    known = [it for it in statement["authenticators"] if Key(it["jwk"]).thumbprint() == found["key"]]
    need(known, "step_up_authenticator_unknown")
    key, rp_id = Key(known[0]["jwk"]), known[0]["rp_id"]
    try:
        client = strict_json(client_data, max_bytes=4096, max_depth=2)
        exactly(client, ["type", "challenge", "origin"], ["crossOrigin"])
    except Refused:
        raise Refused(unreadable) from None
    need(isinstance(client.get("crossOrigin", False), bool), unreadable)
    need(client["type"] == "webauthn.get", "step_up_assertion_type")
    need(client["challenge"] == challenge, "step_up_challenge")
    need(client["origin"] == "countersign:" + statement["aud"], "step_up_origin")
    need(not client.get("crossOrigin"), "step_up_cross_origin")
    need(len(data) == 37, unreadable)
    flags = data[32]
    need(not flags & ~0x1D and flags & 0x18 != 0x10, unreadable)
    need(data[:32] == sha256(rp_id.encode()), "step_up_rp_id")
    need(flags & 0x01, "step_up_user_absent")
    need(flags & 0x04, "step_up_user_unverified")
    message = data + sha256(client_data)
    if key.alg == "Ed25519":
        good = ed25519_verifies(key.x, message, signature)
    else:
        good = es256_verifies(key.point, message, der_signature(signature), low_s=False)
    need(good, "step_up_assertion_signature")


def in_stage(payload, requirement, cast):
    """Step 4: a stage of the requirement, on the whole of the one before it."""
    stages = requirement.get("stages", [])
    if not stages:
        step(4, "stage_wrong", "stage" not in payload and "prior" not in payload)
        return
    names = [stage["name"] for stage in stages]
    step(4, "stage_wrong", payload.get("stage") in names)
    place = names.index(payload["stage"])
    before = [] if place == 0 else [
        digest(vote["jws"].encode()) for vote, other, _, _ in cast if other.get("stage") == names[place - 1]
    ]
    prior = payload.get("prior", [])
    step(4, "prior_unknown", set(prior) <= set(before))
    step(4, "prior_incomplete", place == 0 or len(prior) >= stages[place - 1]["approvals"])


def same_person(trust, one, other):
    """True, False, or None where it cannot be told. All of the vectors' accounts are of one provider."""
    rule = trust.get("person", "account")
    if rule == "account":
        return one[0] == other[0]
    if rule == "unknown":
        return True if one[0] == other[0] else None
    values = [[claims.get(name) for name in rule] for _, claims in (one, other)]
    if not all(isinstance(value, str) and value for found in values for value in found):
        return None
    if values[0] != values[1] and [it.lower() for it in values[0]] == [it.lower() for it in values[1]]:
        return None
    return values[0] == values[1]


# --- evidence (grant.md) ------------------------------------------------------------------------


def step(number, code, condition):
    if not condition:
        raise Refused(code, number)


def signed_by(compact, typ, keys, what):
    """Step 2: one of these keys signed it."""
    try:
        header, payload = jws_peek(compact, typ)
        read_document(payload, typ)
    except Refused:
        raise Refused(what + "_unreadable", 2) from None
    key = next((key for key in keys if key.thumbprint() == header["kid"]), None)
    step(2, what + "_key_unknown", key is not None)
    try:
        return jws_verify(compact, typ, key)
    except Refused:
        raise Refused(what + "_signature", 2) from None


def verify_evidence(evidence, trust, jwks, release):
    now, asked_at, votes = release["now"], release["asked_at"], evidence["votes"]

    # 1. The operation, and the one that is about to be executed.
    data = unb64u(evidence["operation_b64"], step=1)
    try:
        tuple_ = operation(data)
    except Refused:
        raise Refused("operation_unreadable", 1) from None
    step(1, "operation_differs", evidence["operation_b64"] == release["operation_b64"])

    # 2. Signed, and all about the same.
    step(2, "pep_differs", release["me"] == trust["pep"]["id"])
    server_keys = [Key(jwk) for jwk in trust["server_keys"]]
    ask = signed_by(evidence["ask_jws"], "countersign-ask+jwt", [Key(trust["pep"]["jwk"])], "ask")
    request = signed_by(evidence["request_jws"], "countersign-request+jwt", server_keys, "request")
    step(2, "server_differs", request["iss"] == trust["server"])
    step(2, "pep_differs", ask["iss"] == trust["pep"]["id"])
    step(2, "server_differs", ask["aud"] == request["iss"])
    step(2, "pep_differs", ask["iss"] == request["pep"] == tuple_["context"]["pep"])
    operation_digest = digest(data)
    step(2, "operation_digest_differs", ask["operation_digest"] == request["operation_digest"] == operation_digest)
    step(2, "ask_digest_differs", request["ask_digest"] == digest(evidence["ask_jws"].encode()))
    requester = subject(tuple_["subject"]["id"])
    step(2, "requester_differs", (request["sub_id"]["iss"], request["sub_id"]["sub"]) == requester)
    step(2, "times_differ", request["iat"] < request["exp"] and ask["iat"] < ask["exp"])
    step(2, "ask_expired", ask["iat"] - SKEW <= request["iat"] <= ask["exp"] + SKEW)
    grant = signed_by(evidence["grant"], "countersign-grant+jwt", server_keys, "grant")
    request_digest = digest(evidence["request_jws"].encode())
    cast, granted = [], []
    for vote in votes:
        try:
            header, payload = jws_peek(vote["jws"], "countersign-vote+jwt")
            read_document(payload, "countersign-vote+jwt")
        except Refused:
            raise Refused("vote_unreadable", 2) from None
        cic = unb64u(vote["cic"], step=2)
        try:
            statement, key = read_statement(cic)
        except Refused as refused:
            raise Refused(refused.code, 2) from None
        step(2, "server_differs", payload["aud"][0] == statement["aud"] == request["iss"])
        step(2, "pep_differs", payload["aud"][1] == request["pep"])
        step(2, "txn_differs", payload["txn"] == request["txn"])
        step(2, "operation_digest_differs", payload["operation_digest"] == operation_digest)
        step(2, "request_digest_differs", payload["request_jws_digest"] == request_digest)
        step(2, "policy_digest_differs", payload["policy_digest"] == request["policy_digest"])
        thumbprint = key.thumbprint()
        step(2, "vote_key_differs", header["kid"] == thumbprint and payload["iss"] == URI + thumbprint)
        step(2, "binding_differs", payload["binding_id"] == digest(cic))
        cast.append((vote, payload, key, cic))
        granted.append(
            {
                "digest": digest(vote["jws"].encode()),
                "iss": payload["sub_id"]["iss"],
                "sub": payload["sub_id"]["sub"],
                "binding_id": payload["binding_id"],
            }
        )
    step(2, "server_differs", grant["iss"] == request["iss"])
    step(2, "pep_differs", grant["aud"] == request["pep"])
    step(2, "txn_differs", grant["txn"] == request["txn"])
    step(2, "operation_digest_differs", grant["operation_digest"] == operation_digest)
    step(2, "request_digest_differs", grant["request_jws_digest"] == request_digest)
    step(2, "policy_digest_differs", grant["policy_digest"] == request["policy_digest"])
    step(2, "grant_votes_differ", grant["votes"] == granted)

    # 3. At least what the gate asked for, and what my own policy demands.
    theirs = request["requirement"]
    step(3, "requirement_lowered", laxer(ask["requirement"], theirs) is None)
    step(3, "requirement_lowered", laxer(trust["policy"]["requirement"], theirs) is None)

    # 4. Signed, approving, in time.
    words = " ".join(matching_words(request_digest))
    for vote, payload, key, _ in cast:
        message, signature = vote["jws"].rsplit(".", 1)
        step(4, "vote_signature", key.verifies(message.encode(), unb64u(signature)))
        step(4, "vote_times", payload["iat"] < payload["exp"])
        step(4, "vote_outlives_request", payload["exp"] <= request["exp"])
        step(4, "vote_too_early", payload["iat"] >= max(asked_at, request["iat"]) - SKEW)
        step(4, "vote_in_future", payload["iat"] <= now + SKEW)
        step(4, "vote_too_late", payload["iat"] <= asked_at + theirs["ttl_secs"] + SKEW)
        needs_reason = {"optional": [], "on_deny": ["deny"], "always": ["approve", "deny"]}[theirs["reason"]]
        step(4, "reason_missing", payload["vote"] not in needs_reason or "reason" in payload)
        step(4, "match_wrong", payload.get("match", words) == words)
        step(4, "match_missing", theirs["match"] == "none" or "match" in payload)
        step(4, "vote_not_approve", payload["vote"] == "approve")
        in_stage(payload, theirs, cast)
    step(4, "grant_times", grant["iat"] < grant["exp"] and grant["nbf"] <= grant["exp"])
    step(4, "grant_in_future", max(grant["iat"], grant["nbf"]) <= now + SKEW)
    step(4, "grant_expired", now <= grant["exp"] + SKEW)
    newest = max(payload["iat"] for _, payload, _, _ in cast)
    step(4, "grant_window_over", now <= newest + theirs["grant_secs"])
    step(4, "approval_too_late", now <= asked_at + theirs["ttl_secs"] + theirs["grant_secs"])

    # 5. The provider's own signature commits to each key.
    tokens = []
    for vote, payload, _, cic in cast:
        step(5, "id_token_missing", "id_token" in vote)
        issuer = json.loads(unb64u(split(vote["id_token"])[1]))["iss"]
        step(5, "voter_differs", issuer == payload["sub_id"]["iss"])
        step(5, "op_not_trusted", issuer == trust["issuer"])
        try:
            _, _, claims, auth_time = binding(cic, vote["id_token"], trust["server"], trust, jwks, now, True)
        except Refused as refused:
            raise Refused(refused.code, 5) from None
        step(5, "voter_differs", claims["sub"] == payload["sub_id"]["sub"])
        step(5, "binding_session_over", payload["iat"] <= auth_time + trust["session_secs"])
        step(5, "vote_before_binding", payload["iat"] >= claims["iat"] - SKEW)
        tokens.append(claims)

    # 6. A fresh confirmation of each vote (step-up.md).
    keys = [payload["consent_jkt"] for _, payload, _, _ in cast if "consent_jkt" in payload]
    step(6, "consent_reused", len(set(keys)) == len(keys))
    for (vote, payload, _, cic), bound in zip(cast, tokens):
        try:
            step_up(vote, payload, theirs, read_statement(cic)[0], bound, trust, jwks, now)
        except Refused as refused:
            raise Refused(refused.code, 6) from None

    # 7. Different people, who may, and enough of them.
    people = []
    for (_, payload, _, _), claims in zip(cast, tokens):
        person = payload["sub_id"]["iss"], payload["sub_id"]["sub"]
        if theirs["by"] == "others":
            step(7, "requester_votes", person != requester and person not in actors(tuple_))
        step(7, "provider_not_for_approvers", trust.get("approvers", True))
        step(7, "claims_too_old", payload["iat"] - claims["iat"] <= theirs["fresh_claims_secs"])
        asked = tuple_["subject"].get("properties", {}).get("claims", {})
        same = same_person(trust, (person, claims), (requester, asked))
        if theirs["by"] == "others":
            step(7, "requester_votes", same is not True)
            step(7, "person_unknown", same is False)
        else:
            step(7, "not_the_requester", person == requester or same is True)
        groups = claims.get(trust["groups_claim"])
        groups = groups if isinstance(groups, list) and all(isinstance(name, str) for name in groups) else []
        # The vectors' policy: one group, the requester for their own confirmation; in `security` jonas alone.
        may = trust["policy"]["voters"] in [f"{trust['issuer']}#{name}" for name in groups]
        may = may and (payload.get("stage") != "security" or person[1] == "jonas")
        step(7, "may_not_vote", may or (theirs["by"] == "requester" and person == requester))
        people.append((person, claims))
    accounts = [person for person, _ in people]
    step(7, "person_votes_twice", len(set(accounts)) == len(accounts))
    for index, one in enumerate(people):
        for other in people[:index]:
            same = same_person(trust, one, other)
            step(7, "person_votes_twice", same is not True)
            step(7, "person_unknown", same is False)
    step(7, "quorum_missing", len(people) >= theirs["approvals"])
    for stage in theirs.get("stages", []):
        there = [payload for _, payload, _, _ in cast if payload["stage"] == stage["name"]]
        step(7, "stage_quorum_missing", len(there) >= stage["approvals"])


# --- the files ----------------------------------------------------------------------------------

CHECKED = 0


def holds(name, condition):
    global CHECKED
    CHECKED += 1
    if not condition:
        raise SystemExit(f"FAILED: {name}")


def refuses(name, code, action, number=None):
    try:
        action()
    except Refused as refused:
        got = (refused.code, refused.step) if number is not None else refused.code
        wanted = (code, number) if number is not None else code
        holds(f"{name}: refused by {got}, not {wanted}", got == wanted)
        return
    holds(f"{name}: not refused", False)


def vectors(name):
    return json.loads((HERE / "vectors" / name).read_text())


def check_operation():
    file = vectors("operation.json")
    for case in file["good"]:
        data = unb64u(case["operation_b64"])
        value = operation(data)
        holds(case["name"], digest(data) == case["operation_digest"])
        holds(case["name"], "|".join(subject(value["subject"]["id"])) == case["requester"])
        holds(case["name"], value["context"]["pep"] == case["pep"])
    for case in file["bad"]:
        refuses(case["name"], case["rule"], lambda: operation(unb64u(case["operation_b64"])))
    for case in file["matching_words"]:
        holds("matching words", matching_words(case["request_jws_digest"]) == case["words"])
    holds("word list", hashlib.sha256((HERE / "words.txt").read_bytes()).hexdigest() == WORDS_SHA256)


# Of BIP 39's english.txt, as its authors publish it.
WORDS_SHA256 = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"


def check_binding():
    file = vectors("binding.json")
    config = file["config"]

    def bind(case):
        by = config | {"key_binding": case.get("key_binding", "accepted")}
        return binding(unb64u(case["cic_b64"]), case["id_token"], config["server"], by, config["jwks"], config["now"])

    for case in file["good"]:
        cic = unb64u(case["cic_b64"])
        statement, key, _, auth_time = bind(case)
        holds(case["name"], digest(cic) == case["binding_id"])
        holds(case["name"], b64u(tagged("countersign/binding/v1", cic)) == case["nonce"])
        holds(case["name"], key.jwk == case["jwk"] and key.thumbprint() == case["thumbprint"])
        holds(case["name"], auth_time == case["auth_time"])
        pop = read_document(jws_verify(case["pop_jws"], "countersign-pop+jwt", key), "countersign-pop+jwt")
        holds(case["name"], pop["cic_digest"] == case["binding_id"] and pop["aud"] == statement["aud"])
    for case in file["bad"]:
        refuses(case["name"], case["code"], lambda: bind(case))

    jws = file["jws"]
    key = Key(jws["jwk"])
    jws_verify(jws["good"], jws["typ"], key)
    for case in jws["bad"]:
        refuses(case["name"], case["code"], lambda: jws_verify(case["jws"], jws["typ"], key))

    proof = file["dpop"]
    header, payload, signature = split(proof["proof"])
    header, claims = strict_json(unb64u(header)), strict_json(unb64u(payload))
    holds("dpop header", set(header) == {"alg", "jwk", "typ"} and header["typ"] == "dpop+jwt")
    key = Key(header["jwk"])
    holds("dpop key", key.alg == header["alg"] and key.thumbprint() == proof["jkt"])
    holds("dpop signature", key.verifies(proof["proof"].rsplit(".", 1)[0].encode(), unb64u(signature)))
    expected = {
        "htm": proof["method"],
        "htu": proof["url"],
        "ath": digest(proof["access_token"].encode()),
        "nonce": proof["nonce"],
        "iat": proof["now"],
        "jti": claims["jti"],
    }
    holds("dpop payload", claims == expected)


def check_ask():
    file = vectors("ask.json")
    ask = jws_verify(file["ask_jws"], "countersign-ask+jwt", Key(file["pep"]["jwk"]))
    request = jws_verify(file["request_jws"], "countersign-request+jwt", Key(file["server"]["jwk"]))
    read_document(ask, "countersign-ask+jwt")
    read_document(request, "countersign-request+jwt")
    data = unb64u(file["operation_b64"])
    holds("operation", ask["operation_digest"] == request["operation_digest"] == digest(data))
    holds("ask", request["ask_digest"] == digest(file["ask_jws"].encode()))
    holds("request", digest(file["request_jws"].encode()) == file["request_jws_digest"])
    holds("words", matching_words(file["request_jws_digest"]) == file["matching_words"])
    holds("parties", ask["iss"] == request["pep"] == file["pep"]["id"] and ask["aud"] == file["server"]["id"])
    mine = file["requirement"]["mine"]
    for case in file["requirement"]["covers"]:
        read_requirement(case["theirs"])
        holds("covers", laxer(mine, case["theirs"]) == case["laxer"])
    for value in file["requirement"]["malformed"]:
        refuses("malformed requirement", "document_members", lambda: read_requirement(value))


def check_vote():
    file = vectors("vote.json")
    for case in file["good"]:
        cic = unb64u(case["cic_b64"])
        _, key = read_statement(cic)
        vote = jws_verify(case["jws"], "countersign-vote+jwt", key)
        read_document(vote, "countersign-vote+jwt")
        holds("vote", digest(case["jws"].encode()) == case["digest"] and vote["binding_id"] == digest(cic))
    for case in file["malformed"]:
        _, payload = jws_peek(case["jws"], "countersign-vote+jwt")
        refuses(case["name"], "document_members", lambda: read_document(payload, "countersign-vote+jwt"))


def check_grant():
    file = vectors("grant.json")
    trust, jwks = file["trust"], file["jwks"]
    verify_evidence(file["good"]["evidence"], trust, jwks, file["good"]["release"])
    holds("the honest approval", True)
    for case in file["bad"]:
        refuses(
            case["name"],
            case["code"],
            lambda: verify_evidence(case["evidence"], trust, jwks, case["release"]),
            case["step"],
        )


def check_step_up():
    file = vectors("step-up.json")
    jwks = file["jwks"]
    for case in file["good"]:
        verify_evidence(case["evidence"], case["trust"], jwks, case["release"])
        holds(case["name"], True)
    for case in file["bad"]:
        refuses(
            case["name"],
            case["code"],
            lambda: verify_evidence(case["evidence"], case["trust"], jwks, case["release"]),
            case["step"],
        )


def main():
    for check in (check_operation, check_binding, check_ask, check_vote, check_grant, check_step_up):
        check()
    print(f"{CHECKED} checks hold")


if __name__ == "__main__":
    try:
        main()
    except (binascii.Error, KeyError, TypeError) as error:
        sys.exit(f"FAILED: {error!r}")
