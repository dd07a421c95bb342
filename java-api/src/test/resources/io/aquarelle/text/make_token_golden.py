#!/usr/bin/env python3
"""Writes token-golden.tsv: texts and the token ids that OpenAI's own CLIP tokenizer gives them. Not part of the build.

    pip install --no-deps clip-anytorch==2.6.0 regex
    python3 make_token_golden.py > token-golden.tsv

Each line is a text, a tab, and its ids without marks. In texts, backslash and everything outside printable ASCII is
written as UTF-16 units \\uXXXX. Only characters of Unicode 13 and older are used, so that no newer table of letters
changes a result. The optional ftfy step of the tokenizer is left out, as in Aquarelle.
"""

import html.entities
import importlib.util
import pathlib
import random
import sys
import types

LINES = [
    "a photograph of an astronaut riding a horse",
    "A Beautiful Landscape, oil on canvas, 8k, highly detailed, trending on artstation",
    "masterpiece, best quality, 1girl, solo, looking at viewer",
    "photo of the Eiffel Tower at sunset -- 35mm f/1.8 ISO 100, bokeh",
    "worst quality, low quality, jpeg artifacts, (deformed iris:1.4), [[blurry]]",
    "portrait by greg rutkowski and alphonse mucha",
    "The quick brown fox jumps over the lazy dog.",
    "HELLO WORLD",
    "hello      world",
    "x",
    "I",
    "...",
    "!?!?!?",
    "don't can't won't it's I'm you're they've she'll he'd o'clock rock'n'roll",
    "DON'T CAN'T IT'S I'M YOU'RE THEY'VE SHE'LL HE'D",
    "'tis the season 'twas",
    "the cats' toys, James's book",
    "''s 'S ''re '' ' 'll'll'd",
    "'x 'sx 'rex 've've 'lx 'r 'v 'l",
    "1 12 123 1234567890",
    "3.14159 -42 +7 1e10 0xFF 50% $9.99 #1",
    "2024-01-31T23:59:59Z",
    "1st 2nd 3rd 4th 1920x1080 16:9 4k",
    "v2.1-beta_3",
    "user@example.com https://example.com/path?query=1&other=2#anchor",
    "C++ C# F# .NET node.js",
    "snake_case camelCase PascalCase kebab-case SCREAMING_CASE",
    "a+b=c; d/e*f-g%h^i&j|k~l",
    "\"quoted\" 'single' `back` (round) [square] {curly} <angle>",
    "back\\slash \\\\ \\( \\) \\[ \\]",
    "tab\there new\nline carriage\r\nreturn form\x0cfeed vertical\x0btab",
    "supercalifragilisticexpialidocious",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "antidisestablishmentarianism floccinaucinihilipilification",
    "llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogoch",
    "donaudampfschifffahrtsgesellschaftskapitän",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "abababababababababababababababababababababababababababababababababab",
    "qwertyuiopasdfghjklzxcvbnm zxcvbnmlkjhgfdsapoiuytrewq",
    "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
    "-----=====_____*****#####",
    "<|startoftext|>",
    "<|endoftext|>",
    "a <|startoftext|> b <|endoftext|> c",
    "x<|endoftext|>y .<|endoftext|> <|ENDOFTEXT|> <|endoftext| >",
    "<start_of_text> <end_of_text> <s> </s> <pad> </w>",
    "a</w>b </w>",
    "café naïve façade résumé Zürich Ærøskøbing Łódź Kraków smörgåsbord",
    "CAFÉ NAÏVE FAÇADE RÉSUMÉ ZÜRICH ÆRØSKØBING ŁÓDŹ",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m e\u0301\u0323 Z\u0351\u036b\u0343alg\u0322o\u0321",
    "Straße STRASSE ẞ ß ﬁne ﬂow oﬃce ﬀ ﬅ Ĳ ĳ ŉ ǰ ǆ ǅ Ǆ",
    "İstanbul ıstanbul İ I ı i",
    "ΟΔΥΣΣΕΥΣ ΣΑΣ Σ ΑΣ. ΑΣ' ΑΣ'Α Α\u0301Σ\u0301 σς ΣΣ ΑΣ1 1Σ",
    "ᾳ α\u0345β Ὀδυσσεύς",
    "K Å Ω (Kelvin, Ångström, Ohm signs) \u212a \u212b \u2126",
    "Congreſs 'ſ it'ſ",
    "Ελληνικά Русский язык Українська Български српски",
    "Съешь ещё этих мягких французских булок",
    "Հայերեն ქართული ᲥᲐᲠᲗᲣᲚᲘ Ⴀ Ꭰ ꭰ",
    "עברית שָׁלוֹם العربية السَّلَام عَلَيْكُم فارسی اردو",
    "हिन्दी বাংলা தமிழ் తెలుగు ไทย ພາສາລາວ မြန်မာ ខ្មែរ བོད་ཡིག አማርኛ",
    "日本語 ひらがな カタカナ ｶﾀｶﾅ 漢字 東京タワー",
    "中文 简体字 繁體字 一只可爱的猫，高清",
    "한국어 안녕하세요 \u1112\u1161\u11ab",
    "Ａｌｐｈａ １２３ ！？ ｆｕｌｌｗｉｄｔｈ",
    "𝕳𝖊𝖑𝖑𝖔 𝓦𝓸𝓻𝓵𝓭 𝟘𝟙𝟚 𐐀𐐨 𠜎𠜱 𒀀",
    "①②③ ⅠⅡⅢ ⅰⅱⅲ ½¼¾ x² H₂O ٠١٢٣ ०१२३ 零一二 Ⓐ ⓐ",
    "😀 🎨🦊 👩‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 🇫🇷🇯🇵 👍🏽 ❤️ ☃ ☃️ 1️⃣",
    "cat😺dog🐶 :) :-( ;P <3 ^_^ ¯\\_(ツ)_/¯ (╯°□°)╯︵ ┻━┻",
    "“curly” ‘quotes’ it’s ‛low‚ „german“ «french» ‹single›",
    "en–dash em—dash figure‒dash minus−sign ellipsis… bullet• middle·dot",
    "™ ® © ° ± × ÷ § ¶ † ‡ ‰ € £ ¥ ₿ ¢ ¤ ¡ ¿",
    "← ↑ → ↓ ⇒ ∀ ∃ ∈ ∑ ∏ √ ∞ ≠ ≤ ≥ ∫ ≈",
    "│ ┤ ╡ ░ ▒ ▓ █ ▄ ■ ● ◆ ★ ☆ ♠ ♣ ♥ ♦ ♪ ♫",
    "a\u00a0b\u2003c\u2028d\u2029e\u202ff\u3000g\u1680h\u0085i",
    "zero\u200bwidth soft\u00adhyphen \ufeffbom word\u2060joiner mongolian\u180evowel",
    "\u202eright to left\u202c \u2066isolate\u2069 \u200e\u200f",
    "nul\x00inside \x00 \x01\x02\x03 \x1b[31mred\x1b[0m \x7f",
    "\x1c\x1d leading and trailing separators \x1e\x1f",
    "a\x1cb a \x1d b \x1f\x1fc",
    "\u0080\u0081\u009f c1 controls",
    " \t\n  only spaces around  \r\n ",
    "\u00a0\u3000",
    "\ufffd replacement \ufffe noncharacter \uffff \ue000 private \U000f0000 \U0010ffff",
    "FranÃ§ois cafÃ© â€œmojibakeâ€\x9d",
    "&amp; &lt;b&gt; &quot;x&quot; &apos; &#39; &nbsp;x&nbsp;y",
    "&amp;amp; &amp;lt; &amp;amp;amp; &amp;#233; &amp;eacute;",
    "&eacute;t&eacute; &Eacute; &EACUTE; &copy2024 &copycat &notit; &notin; &not in",
    "&AMP &AMP; &amp &ampx &am &a &; & && &&amp;&",
    "&#65;&#x42;&#X43; &#65 &#x42 &#x; &# &#; &#x &#a",
    "&#0; &#128; &#x80; &#150; &#129; &#x9f; &#13; &#10; &#9; &#32; &#160;",
    "&#1; &#x7f; &#xb; &#xfdd0; &#xffff; &#x1fffe; &#xd800; &#xdfff; &#x110000; &#99999999999999999999;",
    "&CounterClockwiseContourIntegral; &CounterClockwiseContourIntegrals &fjlig; &NotEqualTilde; &ThickSpace; &bne;",
    "&unknown; &unknownunknownunknownunknownunknownunknown; &ltx; &gtrsim &notavalidname;",
    "A&B R&D AT&T Q&A black&white &c.",
    "&Sigma;&Alpha;&Sigma; &#931; &ouml&uuml&auml",
    "AND OR BREAK (a:1.2) [b] {c|d} <lora:name:0.8> __wildcard__",
]


def texts():
    yield ""
    yield from LINES
    generator = random.Random(20)
    letters = "abcdefghijklmnopqrstuvwxyz"
    for _ in range(60):  # words that are in no dictionary, up to very long ones
        yield " ".join("".join(generator.choices(letters, k=generator.randint(1, 40))) for _ in range(3))
    for length in (100, 500, 2000):
        yield "".join(generator.choices(letters, k=length))
        yield "".join(generator.choices("ab", k=length))
        yield "".join(generator.choices("!?.,-", k=length))
    alphabets = [
        "ABCxyz ", "'stmdrvleSTMDRVLE ", " \t\n\x1c\x1d\x85\xa0\u2003\u3000\0\x07a", "ΑΣσςα'.ʰ\u0301\xad b",
        "İIıſKŉǰßẞﬀ'", "日本語カナ한국中 ", "العربيةעברית١٢ ", "0123½²Ⅷ① a", "🎨🦊👩‍🚀🏳️‍🌈\u200d\ufe0f ", "e\u0301a\u0308\u0345 ",
        "<|startofex|>", "!?.,-_()[]{}*&^%$#@~`\"\\/<>|", "&#;x19aAmplt ",
    ]
    for alphabet in alphabets:
        for _ in range(10):
            yield "".join(generator.choices(alphabet, k=generator.randint(2, 30)))
    for _ in range(40):  # all of them mixed
        yield "".join(generator.choice(generator.choice(alphabets)) for _ in range(30))
    names = sorted(html.entities.html5)
    for _ in range(40):  # names of references, whole and cut
        name = generator.choice(names)
        yield f"&{name} &{name[:generator.randint(1, len(name))]}x &amp;{name}"


def escape(text):
    units = text.encode("utf-16-be")
    units = [units[i] << 8 | units[i + 1] for i in range(0, len(units), 2)]
    return "".join(chr(u) if 0x20 <= u <= 0x7E and u != 0x5C else f"\\u{u:04X}" for u in units)


def reference_tokenizer():
    without_ftfy = types.ModuleType("ftfy")
    without_ftfy.fix_text = lambda text: text
    sys.modules["ftfy"] = without_ftfy
    folder = importlib.util.find_spec("clip").submodule_search_locations[0]  # importing clip itself needs torch
    spec = importlib.util.spec_from_file_location("simple_tokenizer", pathlib.Path(folder, "simple_tokenizer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer()


def main():
    tokenizer = reference_tokenizer()
    for text in texts():
        print(escape(text), " ".join(map(str, tokenizer.encode(text))), sep="\t")


if __name__ == "__main__":
    main()
