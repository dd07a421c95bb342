#!/usr/bin/env python3
"""Writes the data files of the package io.aquarelle.text.

    pip install --no-deps clip-anytorch==2.6.0
    python3 java-api/tools/make_text_data.py java-api/src/main/resources/io/aquarelle/text

clip-merges.gz      the 48,894 byte-pair merges of OpenAI CLIP in rank order; each is two big-endian unsigned shorts,
                    the token ids of its halves, and makes token 512 + rank
html-entities.txt   the named character references of HTML 5, one a line: name as after the ampersand, with its
                    semicolon where it has one, then the code points in hexadecimal
"""

import gzip
import hashlib
import html.entities
import importlib.util
import pathlib
import struct
import sys

SOURCE_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
MERGES = 49408 - 2 - 512  # vocabulary without the two marks, 256 bytes and 256 bytes that end a word


def byte_characters():
    """Characters that stand for bytes in the merge list, in the order of their token ids: printable bytes as
    themselves, then the others, in order, as U+0100, U+0101, ..."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in printable] + [chr(0x100 + i) for i in range(256 - len(printable))]


def merge_ids(lines):
    ids = {character + end: i + offset for end, offset in (("", 0), ("</w>", 256))
           for i, character in enumerate(byte_characters())}
    for line in lines:
        left, right = line.split()
        yield ids[left], ids[right]
        assert left + right not in ids, f"two merges make {left + right}"  # BytePairEncoder relies on it
        ids[left + right] = len(ids)


def main(out):
    package = importlib.util.find_spec("clip")
    if package is None:
        sys.exit("the package clip-anytorch is not installed: pip install --no-deps clip-anytorch==2.6.0")
    source = pathlib.Path(package.submodule_search_locations[0], "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    if hashlib.sha256(source).hexdigest() != SOURCE_SHA256:
        sys.exit("bpe_simple_vocab_16e6.txt.gz is not the file that this project was made with")
    lines = gzip.decompress(source).decode("utf-8").split("\n")[1:MERGES + 1]
    merges = b"".join(struct.pack(">HH", *pair) for pair in merge_ids(lines))
    (out / "clip-merges.gz").write_bytes(gzip.compress(merges, 9, mtime=0))

    entities = sorted(html.entities.html5.items())
    text = "".join(f"{name} {' '.join(f'{ord(c):X}' for c in value)}\n" for name, value in entities)
    (out / "html-entities.txt").write_text(text, encoding="ascii", newline="\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
