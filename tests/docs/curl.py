"""As much of curl as the documentation uses, for machines without it. Only shell.py starts it."""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.parse
import urllib.request


def main() -> None:
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-G", action="store_true")
    parser.add_argument("-i", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-d", dest="body")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("--data-urlencode", dest="data", action="append", default=[])
    given = parser.parse_args()
    url = given.url if "://" in given.url else f"http://{given.url}"
    pairs = [one.partition("=") for one in given.data]
    if pairs:
        query = urllib.parse.urlencode([(name, value) for name, _, value in pairs])
        url += ("&" if "?" in url else "?") + query
    headers = dict(one.split(": ", 1) for one in given.headers)
    body = None if given.body is None else given.body.encode()
    request = urllib.request.Request(
        url, data=body, headers=headers, method=given.method or ("GET" if given.body is None else "POST")
    )
    try:
        answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        body = answer.read()
        if given.i:
            lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{k}: {v}" for k, v in answer.headers.items())]
            sys.stdout.write("\r\n".join([*lines, "", ""]))
            sys.stdout.flush()
        sys.stdout.buffer.write(body)


if __name__ == "__main__":
    main()
