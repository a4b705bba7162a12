"""The page of `--data.report`: what was read, what was left out, and why."""

from collections import Counter
from typing import NamedTuple

from transformer import pages
from transformer.cleaning import REPORTING, RULES, Pair
from transformer.reports import STEP, DataReport

ASSETS = ("corpus.css",)

MEANINGS = {
    "empty": "One side has no text.",
    "identical": "Both sides are the same text: a name, a number, or not translated.",
    "ratio": "One side is many times longer than the other, so it says something else.",
    "encoding": (
        "Letters were lost (�) or read in a wrong encoding (“fÃ¼r” for “für”). "
        "A model would learn to write them."
    ),
    "script": "Most letters of a side are not of a script of its language.",
    "markup": (
        "There are HTML entities or elements. Good corpora of web pages and manuals "
        "have them too; if yours should not, unescape them."
    ),
    "numbers": (
        "The two sides do not have the same numbers in digits. That may be right: "
        "“3” may become “drei”."
    ),
    "overlap": (
        "A sentence is in the validation or test set. Learnt by heart, it would make "
        "the scores better than the model is."
    ),
    "duplicate": "The same pair was there before.",
    "similar": (
        "But for case, punctuation and spaces, the same pair was there before."
    ),
}
"""What breaking a rule means, for a reader who has never cleaned a corpus."""


class Finding(NamedTuple):
    """One rule, and what it found."""

    rule: str
    meaning: str
    pairs: int
    drops: bool
    share: float
    """Per cent of all that was read."""
    change: str
    """The flag that makes it do the opposite; none for the limit of tokens."""
    example: Pair


def page(name: str, languages: Pair, report: DataReport) -> str:
    """The whole page.

    Args:
        name: of the corpus or corpora.
    """
    found = findings(report)
    return pages.document(
        "corpus.html",
        ASSETS,
        name=name,
        languages=languages,
        data=report,
        dropped=[finding for finding in found if finding.drops],
        noted=[finding for finding in found if not finding.drops],
        silent=[rule for rule in RULES if rule not in {one.rule for one in found}],
        bars=bars(report.lengths),
        step=STEP,
    )


def findings(report: DataReport) -> list[Finding]:
    """Rules that were broken, the most often broken first."""
    counts = report.cleaning
    return [
        Finding(
            rule,
            MEANINGS.get(
                rule, "Longer than the model shall read; see data.max_length."
            ),
            count,
            rule in counts.dropped,
            100 * count / counts.read,
            _change(rule, dropped=rule in counts.dropped),
            counts.examples[rule],
        )
        for rule, count in (counts.dropped + counts.noted).most_common()
    ]


def _change(rule: str, *, dropped: bool) -> str:
    if rule not in RULES or dropped == (rule in REPORTING):
        return ""  # no rule, or changed already
    return f"--data.keep {rule}" if dropped else f"--data.drop {rule}"


def bars(lengths: Counter[int]) -> list[tuple[int, int, float]]:
    """Tokens, pairs, and per cent of the longest bar."""
    longest = max(lengths.values(), default=1)
    return [
        (tokens, count, 100 * count / longest)
        for tokens, count in sorted(lengths.items())
    ]
