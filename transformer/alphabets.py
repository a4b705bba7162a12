"""Which scripts languages are written in, and texts that are in another one."""

import unicodedata
from functools import cache

SCRIPTS = {
    "ARABIC": (
        "ar arb arz azb ckb fa fas kk kaz ku kmr pa pan pes prs ps pus sd snd ug uig "
        "ur urd"
    ),
    "ARMENIAN": "hy hye",
    "BENGALI": "as asm bn ben mni",
    "CJK": "ja jpn yue zh zho cmn wuu",
    "CYRILLIC": (
        "ab az aze ba bak be bel bg bul ce cv kk kaz ky kir mk mkd mn mon os ru rus sr "
        "srp tg tgk tk tuk tt tat uk ukr uz uzb uzn"
    ),
    "DEVANAGARI": "awa bho hi hin hne mag mai mr mar ne nep npi sa san sd snd",
    "ETHIOPIC": "am amh ti tir",
    "GEORGIAN": "ka kat",
    "GREEK": "el ell",
    "GUJARATI": "gu guj",
    "GURMUKHI": "pa pan",
    "HANGUL": "ko kor",
    "HEBREW": "he heb yi yid",
    "HIRAGANA": "ja jpn",
    "KANNADA": "kn kan",
    "KATAKANA": "ja jpn",
    "KHMER": "km khm",
    "LAO": "lo lao",
    "LATIN": (
        "af afr an arg ast az aze azj bm bos br bre bs ca cat ceb co cos cs ces cy "
        "cym da dan de deu en eng eo epo es spa et est eu eus ff fi fin fil fo fao "
        "fr fra fur fy fry ga gle gd gla gl glg gn grn ha hau hr hrv hsb ht hat hu "
        "hun id ind ig ibo is isl it ita jv jav kk kaz kl kal ku kmr la lat lb ltz li "
        "lim ln lin lt lit lv lav lvs mg mlg mi mri ms msa mt mlt nb nob nl nld nn nno "
        "no nor ny nya oc oci om orm pl pol pt por qu que rm roh ro ron rw kin sc "
        "srd sk slk sl slv sm smo sn sna so som sq sqi als sr srp st sot su sun sv "
        "swe sw swa tk tuk tl tgl tn tsn to ton tr tur ts tso uz uzb uzn vec vi vie "
        "wa wln wo wol xh xho yo yor zu zul"
    ),
    "MALAYALAM": "ml mal",
    "MYANMAR": "my mya",
    "ORIYA": "or ori ory",
    "SINHALA": "si sin",
    "TAMIL": "ta tam",
    "TELUGU": "te tel",
    "THAI": "th tha",
    "TIBETAN": "bo bod dz dzo",
}
"""Languages by script, which is the first word of Unicode's names of its letters."""


SUBTAGS = {
    "arab": "ARABIC",
    "beng": "BENGALI",
    "cyrl": "CYRILLIC",
    "deva": "DEVANAGARI",
    "ethi": "ETHIOPIC",
    "grek": "GREEK",
    "hans": "CJK",
    "hant": "CJK",
    "hebr": "HEBREW",
    "latn": "LATIN",
    "mtei": "MEETEI",
    "olck": "OL",
    "tfng": "TIFINAGH",
}
"""Scripts by what names them behind a language that may have several (ISO 15924)."""


class _Letters(dict[int, str | None]):
    """For `str.translate`: what each character is for texts in some scripts."""

    def __init__(self, scripts: frozenset[str]) -> None:
        super().__init__()
        self._scripts = scripts

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        known = unicodedata.name(char, "").split()[:1]
        own = "o" if known and known[0] in self._scripts else "x"
        self[code] = own if char.isalpha() else None
        return self[code]


@cache
def scripts(language: str) -> frozenset[str]:
    """Those of a language by its code, as hi, en-GB or srp_Cyrl; none if unknown."""
    code, *rest = language.lower().replace("_", "-").split("-")
    for part in rest:
        if part in SUBTAGS:
            return frozenset({SUBTAGS[part]})
    return frozenset(script for script, of in SCRIPTS.items() if code in of.split())


@cache
def _letters(language: str) -> _Letters:
    return _Letters(scripts(language))


def foreign(text: str, language: str) -> bool:
    """Whether most letters are of no script of the language; never if it is unknown."""
    own = scripts(language)
    if not own or (text.isascii() and "LATIN" in own):
        return False
    letters = text.translate(_letters(language))
    return 2 * letters.count("x") > len(letters)
