"""The standard library's modules, the same whatever Python fixbot runs on."""

from __future__ import annotations

import sys

_GONE = (  # of 3.12 and 3.13, in the order in which they went
    "asynchat asyncore distutils imp smtpd "
    "aifc audioop cgi cgitb chunk crypt imghdr lib2to3 mailcap msilib nis nntplib ossaudiodev pipes sndhdr spwd sunau telnetlib uu xdrlib"
)
STANDARD = frozenset(sys.stdlib_module_names) | frozenset(_GONE.split())
"""Top-level names that are, or until Python 3.11 were, of the standard library."""
