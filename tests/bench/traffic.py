"""What is sent, the same to every peer: a browser's fourteen headers with a session token in a cookie, and the answer that
must come back. Knows nothing of the peers."""

import base64
import hashlib
import hmac
import http.client
import json
import time

SECRET = "a secret of the API server, as long as they usually are"
SESSION = "4b8c0a1d2e3f40516273849506172839"
COOKIE = "clearml_token_basic"
PATH = f"/service/{SESSION}/lab"
BODY = ("<!doctype html><title>origin</title>" + "<p>A page of some size.</p>" * 60)[:1536]


def token(secret=SECRET):
    """As the open-source API server makes them: HS256, about 460 bytes."""
    now = int(time.time())
    claims = {
        "auth_type": "Bearer", "env": "production", "iat": now, "exp": now + 86_400,
        "session_id": "0f5d1e2c3b4a59687766554433221100",
        "identity": {"user": "u1", "company": "c1", "role": "user", "user_name": "Ada", "company_name": "Engines"},
        "api_version": "2.31", "server_version": "2.3.0", "feature_set": "basic",
    }
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in ({"typ": "JWT", "alg": "HS256"}, claims)]
    signed = b".".join(_base64url(part) for part in parts)
    return (signed + b"." + _base64url(hmac.digest(secret.encode(), signed, hashlib.sha256))).decode()


def headers(authority, credential):
    """Fourteen, in a browser's order."""
    return {
        "Host": authority,
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
        "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Accept-Language": "en-US,en;q=0.9",
        "Cache-Control": "max-age=0",
        "Sec-CH-UA": '"Chromium";v="140", "Not=A?Brand";v="24"',
        "Sec-CH-UA-Mobile": "?0",
        "Sec-CH-UA-Platform": '"Linux"',
        "Sec-Fetch-Dest": "document",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Site": "same-origin",
        "Upgrade-Insecure-Requests": "1",
        "Cookie": f"theme=dark; _ga=GA1.1.1234567890.1234567890; {COOKIE}={credential}",
    }


def ask(port, sent):
    """One request on a connection of its own: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", PATH, headers=sent)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def faults(port, checks_tokens):
    """What a peer answers wrongly, in sentences; none when it may be measured."""
    authority, good = f"127.0.0.1:{port}", token()
    found = []
    status, body = ask(port, headers(authority, good))
    if status != 200 or body != BODY:
        found.append(f"with a good token: found {status} and {len(body)} bytes, expected 200 and the origin's {len(BODY)}")
    if not checks_tokens:
        return found
    # As a program asks: people without a token would be sent to log in.
    program = {"Host": authority, "Accept": "*/*"}
    stranger = token("another secret")
    altered = good[:-2] + ("AA" if not good.endswith("AA") else "BA")
    for what, cookie in (("without a token", None), ("with another server's token", stranger), ("with an altered signature", altered)):
        status, _ = ask(port, program | ({"Cookie": f"{COOKIE}={cookie}"} if cookie else {}))
        if status != 401:
            found.append(f"{what}: found {status}, expected 401")
    return found


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")
