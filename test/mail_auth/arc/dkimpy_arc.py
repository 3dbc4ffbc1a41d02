"""Seals messages by dkimpy, changes some, and says what dkimpy finds in each. Takes one object of JSON, prints one per line."""

import base64
import json
import random
import sys

import dkim

order = json.load(sys.stdin)
key, record = order["key"].encode(), order["record"].encode()
dice = random.Random(order["seed"])
WORDS = ["a", "Hello", "two  blanks", "tab\there", "gr\u00fc\u00dfe", "x" * 70, ".", "", "ends ", "=?utf-8?q?x?="]


def dns(name, timeout=5):
    return record


def header(name):
    fold = "\r\n".join(dice.choice([" ", "\t", "  "]) + dice.choice(WORDS).strip() + "." for _ in range(dice.randint(1, 3)))
    return f"{name}:{fold}\r\n"


def message():
    text = "From: A <a@author.example>\r\n" + "".join(
        header(name) for name in dice.sample(["To", "Subject", "Date", "Message-ID", "X-Other", "Received", "received"], dice.randint(0, 7))
    )
    body = [dice.choice(WORDS) for _ in range(dice.randint(0, 6))] + [""] * dice.randint(0, 3)
    return (text + "\r\n" + "".join(line + "\r\n" for line in body)).encode()


def seal(text, hops):
    for hop in range(1, hops + 1):
        name = f"mx{hop}.example".encode()
        found = b"arc=pass; " if hop > 1 else b""
        text = b"Authentication-Results: " + name + b"; " + found + b"spf=pass smtp.mailfrom=author.example\r\n" + text
        fields = dkim.arc_sign(text, b"s", b"d%d.example" % hop, key, name)
        text = b"".join(fields) + text
        if dice.random() < 0.5:
            text = b"Received: from somewhere\r\n\tby elsewhere\r\n" + text
    return text


def change(text):
    at = dice.randrange(len(text))
    octet = dice.choice(b"aZ09=;: ")
    return text[:at] + bytes([octet]) + text[at + 1 :]


for number in range(order["count"]):
    text = seal(message(), dice.randint(1, 4))
    if number % 2 == 1:
        text = change(text)
    try:
        found = dkim.arc_verify(text, dnsfunc=dns)[0].decode()
    except Exception:
        found = "error"
    print(json.dumps({"message": base64.b64encode(text).decode(), "found": found.lower()}))
