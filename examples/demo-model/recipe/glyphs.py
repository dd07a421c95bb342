"""Glyphs of Noto Color Emoji with their names: rendered once into one file, then drawn at random for training.

Needs Debian's packages fonts-noto-color-emoji (the font, SIL OFL 1.1) and unicode-cldr-core (keywords, Unicode licence).
"""

import unicodedata
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
ANNOTATIONS = Path("/usr/share/unicode/cldr/common/annotations/en.xml")

SIDE = 136  # of the font's bitmaps, which it offers at this one size
SIZE = 109  # what FreeType calls it
PICTURE = 128  # side of the model's pictures

# Named backgrounds, RGB. White is the default and goes unnamed.
COLOURS = {
    "red": (217, 48, 48),
    "orange": (245, 140, 40),
    "yellow": (250, 220, 70),
    "green": (70, 170, 80),
    "blue": (60, 110, 220),
    "purple": (140, 70, 180),
    "pink": (245, 150, 190),
    "brown": (130, 85, 50),
    "gray": (140, 140, 140),
    "black": (20, 20, 20),
}
WHITE = (255, 255, 255)

# What the CPU run draws: fruit and food, plants, animals, faces, hearts, weather, objects, vehicles.
SELECTION = (
    "🌍🌙🌞⭐🌟🌈🌊🌋🌀🌂🌪🔥💧❄⚡☀☁☔⛄🌡"
    "🌭🌮🌯🌰🌱🌲🌳🌴🌵🌷🌸🌹🌺🌻🌼🌽🌾🌿🍀🍁🍂🍃🍄💐"
    "🍅🍆🍇🍈🍉🍊🍋🍌🍍🍎🍏🍐🍑🍒🍓🥝🥥🥑🥔🥕🥒🥦🥜🍞🥐🥖🥨🥞🧀🍖🍗🥩🥓🍔🍟🍕🥪🥚🍳🍿"
    "🍙🍚🍛🍜🍝🍣🍤🍥🍦🍧🍨🍩🍪🎂🍰🧁🥧🍫🍬🍭🍮🍯🍼🥛☕🍵🍷🍸🍹🍺"
    "🐀🐁🐂🐄🐅🐇🐈🐊🐋🐌🐍🐎🐏🐐🐑🐒🐓🐔🐕🐖🐘🐙🐚🐛🐜🐝🐞🐟🐠🐡🐢🐣🐤🐥🐦🐧🐨🐩🐪🐬"
    "🐭🐮🐯🐰🐱🐲🐴🐵🐶🐷🐸🐹🐺🐻🐼🦀🦁🦂🦃🦄🦅🦆🦇🦈🦉🦊🦋🦌🦍🦎🦏🦐🦑🦒🦓🦔🦖🦜🦝🦢"
    "😀😂😇😈😉😋😍😎😐😜😡😢😭😱😴😷🤓🤔🤖🤠🤡🥳🥶👻👽👾💀💩🎃👹"
    "💓💔💕💖💗💘💙💚💛💜💝💞❤🧡🖤💋💎💯💥💤💣💡"
    "🎈🎁🎀🎄🎓🎤🎧🎨🎩🎪🎮🎯🎲🎳🎷🎸🎹🎺🎻🥁🏀⚽🏈⚾🎾🏐🏆🏅👑👒👓👔👕👖👗👟👠🎒💼📷"
    "📚📌📎✂🔑🔒🔔🔨🔧🔩🔭🔬🔮⌚⏰📱💻💾📺📻☎🕯🛒🧲🧸🧭⚓🏠🏰⛺🏁🚩"
    "🚀🚁🚂🚌🚑🚒🚓🚕🚗🚚🚜🚲🛵🚢⛵🎡🛸✈🚦🗿"
)


def annotations() -> tuple[dict[str, str], dict[str, list[str]]]:
    """CLDR's short name and its keywords of each character."""
    short: dict[str, str] = {}
    keywords: dict[str, list[str]] = {}
    for entry in ElementTree.parse(ANNOTATIONS).getroot().iter("annotation"):
        text = entry.text.strip().lower()
        if entry.get("type") == "tts":
            short[entry.get("cp")] = text
        else:
            keywords[entry.get("cp")] = [word.strip() for word in text.split("|")]
    return short, keywords


def title(character: str, short: dict[str, str]) -> str:
    """Unicode's name, or CLDR's where Unicode's tells how the character was printed before it had colours."""
    name = unicodedata.name(character).lower()
    return short[character] if name.split()[0] in ("black", "white", "heavy") else name


def prepare(path: Path) -> None:
    """Writes glyphs [n, SIDE, SIDE, 4] (RGBA, 8 bits), names [n] and keywords [n] (joined by "|")."""
    font = ImageFont.truetype(FONT, SIZE)
    short, keywords = annotations()
    characters = list(dict.fromkeys(SELECTION))
    pictures = np.zeros((len(characters), SIDE, SIDE, 4), np.uint8)
    for index, character in enumerate(characters):
        canvas = Image.new("RGBA", (2 * SIDE, 2 * SIDE))
        ImageDraw.Draw(canvas).text((SIDE // 2, SIDE // 2), character, font=font, embedded_color=True)
        left, top, right, bottom = canvas.getbbox() or (0, 0, 0, 0)
        if right - left < SIDE // 4:
            raise SystemExit(f"{FONT} has no picture of {unicodedata.name(character)}")
        left, top = (left + right - SIDE) // 2, (top + bottom - SIDE) // 2
        pictures[index] = np.asarray(canvas.crop((left, top, left + SIDE, top + SIDE)))
    path.parent.mkdir(parents=True, exist_ok=True)
    titles = [title(character, short) for character in characters]
    others = [
        "|".join(dict.fromkeys(word for word in [short.get(c, t), *keywords.get(c, [])] if word != t))
        for c, t in zip(characters, titles)
    ]
    with open(path, "wb") as file:
        np.savez_compressed(file, glyphs=pictures, names=titles, keywords=others)


def place(glyph: np.ndarray, side: int, shift: tuple[int, int], background: tuple[int, int, int]) -> np.ndarray:
    """A picture [PICTURE, PICTURE, 3]: the glyph's square scaled to `side`, moved from the centre, on a background."""
    scaled = Image.fromarray(glyph).resize((side, side), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (PICTURE, PICTURE), background)
    corner = (PICTURE - side) // 2
    canvas.paste(scaled, (corner + shift[0], corner + shift[1]), scaled)
    return np.asarray(canvas)


def augment(
    glyph: np.ndarray,
    random: np.random.Generator,
    background: tuple[int, int, int],
    sides: tuple[int, int] = (108, 126),
    reach: int = 4,
) -> np.ndarray:
    """The glyph scaled at random to a side within `sides`, and moved at random by up to `reach` pixels each way."""
    side = int(random.integers(sides[0], sides[1] + 1))
    shift = tuple(int(s) for s in random.integers(-reach, reach + 1, 2))
    return place(glyph, side, shift, background)
