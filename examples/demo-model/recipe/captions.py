"""Texts for pictures: mostly a glyph's name, sometimes its keywords, with the background where it is not white."""

import numpy as np
from glyphs import COLOURS
from tokenizer import BEGIN, END, Tokenizer

EMPTY = 0.1  # of the captions: what guidance subtracts
KEYWORDS = 0.06
UNKNOWN = 0.03  # of the words become one that means nothing, as most of the vocabulary does here
PLAIN = -1  # the number of white among the backgrounds
BACKGROUNDS = list(COLOURS)


def on(background: str) -> str:
    return f" on {'an' if background[0] in 'aeiou' else 'a'} {background} background"


class Captions:
    """Token ids by glyph and background, numbered within the vocabulary in use."""

    def __init__(self, names: list[str], keywords: list[str]):
        tokenizer = Tokenizer()
        known = [[w for w in words.replace("’", "'").split("|") if w and w.isascii()] for words in keywords]
        self.texts = [[name, *words] for name, words in zip(names, known)]
        endings = ["", on("white"), *map(on, BACKGROUNDS)]
        full = {name + e: tokenizer.encode(name + e) for names in self.texts for name in names for e in endings}
        full[""] = tokenizer.encode("")
        self.vocabulary = sorted({token for ids in full.values() for token in ids})
        number = {token: i for i, token in enumerate(self.vocabulary)}
        self.ids = {text: np.array([number[token] for token in ids]) for text, ids in full.items()}
        self.marks = [number[BEGIN], number[END]]

    def text(self, glyph: int, background: int, random: np.random.Generator) -> str:
        if random.random() < EMPTY:
            return ""
        name, *words = self.texts[glyph]
        if words and random.random() < KEYWORDS:
            name = words[random.integers(len(words))]
        if background == PLAIN:
            return name + (on("white") if random.random() < 0.15 else "")
        return name + on(BACKGROUNDS[background])

    def draw(self, glyph: int, background: int, random: np.random.Generator) -> np.ndarray:
        ids = self.ids[self.text(glyph, background, random)].copy()
        lost = (random.random(len(ids)) < UNKNOWN) & ~np.isin(ids, self.marks)
        ids[lost] = len(self.vocabulary)
        return ids
