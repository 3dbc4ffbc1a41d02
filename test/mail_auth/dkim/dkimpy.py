"""Signs and verifies with dkimpy for dkimpy_test.ts: one request per line on the standard input, as JSON with base64, one answer per line."""

import base64
import json
import sys

import dkim

settings = json.loads(sys.stdin.readline())
records = {name.encode(): text.encode() for name, text in settings["records"].items()}


def txt(name, timeout=5):
    return records.get(name.rstrip(b"."))


def passes(checker, index):
    try:
        return bool(checker.verify(index, dnsfunc=txt))
    except dkim.DKIMException:
        return False


def results(message, count):
    """None for a header section that dkimpy does not read at all."""
    try:
        checker = dkim.DKIM(message)
    except dkim.MessageFormatError:
        return None
    return [passes(checker, index) for index in range(count)]


for line in sys.stdin:
    request = json.loads(line)
    answer = {}
    if "verify" in request:
        answer["results"] = results(base64.b64decode(request["verify"]), request["count"])
    if "sign" in request:
        message = base64.b64decode(request["sign"])
        algorithm, key = ("rsa-sha256", settings["rsa"]) if request["rsa"] else ("ed25519-sha256", settings["ed25519"])
        selector = "rsa1024" if request["rsa"] else "ed25519"
        answer["fields"] = [
            base64.b64encode(
                dkim.DKIM(message, signature_algorithm=algorithm.encode(), linesep=b"\n").sign(
                    selector.encode(),
                    b"example.org",
                    key.encode(),
                    canonicalize=(header.encode(), body.encode()),
                    include_headers=[name.encode() for name in request["names"]],
                    length=request["length"],
                )
            ).decode()
            for header, body in (form.split("/") for form in request["forms"])
        ]
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
