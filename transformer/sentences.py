"""Where sentences end: rules that need not know the language, in linear time."""

import re

_CLOSING = "\"'’”“»«›‹)]}」』）】〉》］＂"
_OPENING = "\"'‘“„”‚«»‹›([{「『（【〈《［¿¡–—-"
_CLOSERS = re.escape(_CLOSING)

_SPACED = ".!?…؟۔։።፧។៕‼⁇⁈⁉"
"""They end a sentence where a blank follows; the Arabic, Armenian, Khmer ones too."""

_UNSPACED = "।॥。！？｡．"
"""They end a sentence whatever follows, but for what continues a quotation."""

_END = re.compile(
    rf"(?<![{_SPACED}])[{_SPACED}]++[{_CLOSERS}]*+(?>(?:\s»(?=\s))?)\s++(?=\S)"
    rf"|(?<![{_UNSPACED}])[{_UNSPACED}][{_UNSPACED}…]*+"
    rf"(?:[{_CLOSERS}]++(?![と、，])|(?![{_CLOSERS}]))\s*+"
)

_WORD = re.compile(rf"[\s{re.escape(_OPENING)}]*+(?:([^\W\d_]++)(?!\.)|(\w)?)")

_LONGEST = 40
"""Characters looked at before and behind an end; no abbreviation is longer."""

_TITLES = frozenset(
    "mr mrs ms dr prof st mt rev hon gen col capt cpt lt sgt maj pfc cmdr adm gov sen "
    "sens rep reps pres hr fr dipl ing mme mlle mgr sr sra srta dra don dña sig sigg "
    "dott avv dhr mevr mw vs e.g i.e cf viz z.b bzw ca vgl d.h u.a s.o s.u sog evtl "
    "ggf inkl exkl zzgl p.ex par.ex bijv t.e т.е т.к т.н им ул г-н डॉ प्रो पं".split()
)
"""Something that belongs to them always follows."""

_SHORT = frozenset(
    "etc usw ff inc ltd co corp bros llc plc jr esq dept univ assn ave blvd al jh mio "
    "mrd mill tsd approx ecc enz гг руб стр рис тыс млн млрд".split()
)
"""They stand within a sentence or at its end."""

_NUMBERED = frozenset(
    "no nos nr art sec ch chap vol pp fig figs abs abb bd kap tel est núm pág jan feb "
    "mar apr jun jul aug sep sept oct okt nov dec dez".split()
)
"""They are abbreviations where a number follows, and often words elsewhere."""

_STARTERS = frozenset(
    "the this that these those there he she it we they you his her its our their what "
    "when where who why how if but and or so then also however although because while "
    "after before since in on at for as with from to by of not no yes a an some many "
    "most all both each every der die das den dem des ein eine einen einem einer er "
    "sie es wir ihr ich du sein ihre unser dies diese dieser dieses man wer was wann "
    "wo warum wie wenn aber und oder doch dann auch denn weil während nach vor seit "
    "im am auf für mit von zu bei aus um nicht kein ja nein le la les un une il elle "
    "nous vous ils elles ce cet cette ces mais et où donc si dans pour avec sur el "
    "los las una pero y por con para lo gli uno ma e che non".split()
)
"""Words that only the beginning of a sentence capitalises."""


def sentences(text: str) -> list[str]:
    """Cuts `text` behind each sentence and the blanks that follow; loses nothing.

    A full stop ends no sentence where a small letter follows, nor behind a title. An
    abbreviation, an initial, or a numeral of one or two digits ends one only if the
    next word is one that nothing but the beginning of a sentence capitalises.
    """
    ends = [found.end() for found in _END.finditer(text) if _ends(text, found)]
    cuts = zip([0, *ends], [*ends, len(text)], strict=True)
    return [text[begin:end] for begin, end in cuts if begin < end]


def _ends(text: str, found: re.Match[str]) -> bool:
    mark = found[0].rstrip()
    if mark[0] in _UNSPACED:
        return True
    behind = text[found.end() : found.end() + _LONGEST]
    word = _WORD.match(behind)
    first = "".join(word.groups("")) if word else ""
    if first[:1].islower():  # as in: “Why?” he asked
        return mark in {"!", "?"} and behind[0] == first[0]
    if mark[0] != "." or mark.startswith(".."):
        return True
    before = text[max(0, found.start() - _LONGEST) : found.start()].split()
    return _closes(before[-1].lstrip(_OPENING) if before else "", first)


def _closes(word: str, following: str) -> bool:
    """Whether a full stop behind `word` ends a sentence."""
    small = word.lower()
    if small in _TITLES:
        return False
    single = len(word) == 1 and word.isalpha()
    ordinal = word.isdecimal() and len(word) <= 2
    numbered = small in _NUMBERED and following.isdecimal()
    weak = single or ordinal or numbered or small in _SHORT or "." in word
    return not weak or following.lower() in _STARTERS
