"""CLIP's tokenizer for the captions of this recipe: ASCII text, the same ids as io.aquarelle.text.ClipTokenizer."""

import gzip
import re
import struct
from pathlib import Path

MERGES = Path(__file__).parents[3] / "java-api/src/main/resources/io/aquarelle/text/clip-merges.gz"
VOCABULARY = 49408
BEGIN, END = 49406, 49407
LENGTH = 77  # tokens of a chunk: BEGIN, the text, END as often as it takes

WORD = re.compile(r"'(?:s|t|m|d|re|ve|ll)|[a-z]+|[0-9]|[^\sa-z0-9]+")


class Tokenizer:
    def __init__(self):
        pairs = struct.iter_unpack(">HH", gzip.decompress(MERGES.read_bytes()))
        self.made = {pair: 512 + rank for rank, pair in enumerate(pairs)}

    def word(self, word: str) -> list[int]:
        """One token a byte, the last one marked as the word's end (256 more); then merges, lowest rank first."""
        tokens = [byte - 0x21 for byte in word.encode("ascii")]
        tokens[-1] += 256
        while True:
            merges = [self.made.get(pair, VOCABULARY) for pair in zip(tokens, tokens[1:])]
            best = min(merges, default=VOCABULARY)
            if best == VOCABULARY:
                return tokens
            at = merges.index(best)
            tokens[at : at + 2] = [best]

    def encode(self, text: str) -> list[int]:
        """A whole chunk of LENGTH ids."""
        tokens = [token for word in WORD.findall(text.lower()) for token in self.word(word)]
        if len(tokens) > LENGTH - 2:
            raise ValueError(f"caption '{text}' is too long")
        return [BEGIN, *tokens, *[END] * (LENGTH - 1 - len(tokens))]
