"""Files moved to and from storage servers: S3, WebDAV, XRootD, folders, commands."""

from __future__ import annotations

from bkgpipe.batch.transfer.move import exists, fetch, list_files, remove, send
from bkgpipe.batch.transfer.options import TransferOptions, site_options

__all__ = [
    "TransferOptions",
    "exists",
    "fetch",
    "list_files",
    "remove",
    "send",
    "site_options",
]
