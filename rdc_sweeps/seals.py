"""Checksums in our files, so that what is read back is what was written.

A checksum is the CRC-32 of all bytes after its header, and stands first, so that no truncated or shortened text passes
for one of an earlier version, which had none. In the event log, whose lines always had one, it is the last field and
covers the bytes before it, and so it does in the last line of an archive of arrays. The checksum of a run's record also
covers the run's id, so that a record copied from another run is recognised.
"""

import zlib

RECORD = b'{"checksum": "%s",'
"""Header of a JSON object, in place of its brace."""

LINES = b'{"checksum": "%s"}\n'
"""Header of JSON lines."""

YAML = b"# checksum: %s\n"
"""Header of a YAML document."""

_LAST = b', "checksum": "'
_END = b'"}\n'
_ARCHIVE_END = b"\nrdc-sweeps %s\n"


def checksum(content: bytes, owner: str = "") -> str:
    """The checksum as eight hex digits."""
    return f"{zlib.crc32(content, zlib.crc32(owner.encode())):08x}"


def with_header(content: bytes, header: bytes, owner: str = "") -> bytes:
    """The content after a header with its checksum."""
    return header % checksum(content, owner).encode() + content


def has_header(text: bytes, header: bytes) -> bool:
    """Whether a text begins like one with such a header."""
    return text.startswith(header.partition(b"%s")[0])


def without_header(text: bytes, header: bytes, owner: str = "") -> bytes:
    """The content after the header.

    Raises:
        ValueError: The text is not what was written.
    """
    content = text[len(header % b"12345678") :]
    if text != with_header(content, header, owner):
        raise ValueError("its checksum does not match")
    return content


def seal_record(text: bytes, owner: str = "") -> bytes:
    """Put a checksum before the fields of a JSON object."""
    return with_header(text.removeprefix(b"{"), RECORD, owner)


def unseal_record(text: bytes, owner: str = "") -> bytes:
    """The JSON object without its checksum.

    Raises:
        ValueError: The text is not what was sealed.
    """
    return b"{" + without_header(text, RECORD, owner)


def seal_line(text: bytes) -> bytes:
    """Put a checksum after the fields of a JSON object, and end the line."""
    body = text.removesuffix(b"}")
    return body + _LAST + checksum(body).encode() + _END


def unseal_line(line: bytes) -> bytes:
    """The JSON object without its checksum.

    Raises:
        ValueError: The line is not what was sealed.
    """
    body, seal, end = line.rpartition(_LAST)
    if not seal or end != checksum(body).encode() + _END:
        raise ValueError("its checksum does not match")
    return body + b"}"


def seal_archive(content: bytes, owner: str = "") -> bytes:
    """Put a line with a checksum after a zip archive, which readers of archives skip."""
    return content + _ARCHIVE_END % checksum(content, owner).encode()


def unseal_archive(text: bytes, owner: str = "") -> bytes:
    """The archive without its checksum.

    Raises:
        ValueError: The text is not what was sealed.
    """
    content = text[: -len(_ARCHIVE_END % b"12345678")]
    if text != seal_archive(content, owner):
        raise ValueError("its checksum does not match")
    return content
