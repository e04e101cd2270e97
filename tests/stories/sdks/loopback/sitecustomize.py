"""Ends the process if it would leave the machine. Python runs this before the program."""

import ipaddress
import os
import sys


def is_here(host):
    try:
        return host in (None, "", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if not is_here(host):
        print(f"left the machine: {host}", flush=True)
        os._exit(99)


sys.addaudithook(watch)
