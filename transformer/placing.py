"""What was taken out of a text, such as tags, put back where it belongs in translation.

Marks stand in the gaps between atoms. A pair of tags takes the run of atoms that has
the most linked to its own and the fewest linked to others. It lies inside the run of
the pair around it and beside those of its neighbours, so that what was well-formed
stays so whatever the links.
"""

import math
import re
from bisect import bisect, bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby, takewhile
from typing import NamedTuple

from transformer import links
from transformer.links import Atoms, Link, Linked
from transformer.text import UNSPACED

_UNSPACED = re.compile(f"[{UNSPACED}]")

_MOST = 2_000_000
"""Atoms looked at; where links demand more, tags are placed in proportion."""


class Mark(NamedTuple):
    """What was taken out of a text, and where it stood in what is left."""

    position: int
    text: str
    partner: int
    """The number of the tag that it forms a pair with; its own if there is none."""
    back: bool
    """Whether it keeps to the word before it rather than to the one behind."""
    tight: bool = False
    """Whether it alone sets the words beside it apart, without a blank."""


class Marked(NamedTuple):
    """A text without what was taken out, normalised, and that in its order."""

    plain: str
    marks: tuple[Mark, ...]


def restore(translation: str, marked: Marked, pairs: Sequence[Link]) -> str:
    """The translation of `marked.plain` with every mark in it once.

    Args:
        pairs: which places of `marked.plain` and of the translation belong together;
            without any, marks are placed in proportion.
    """
    if not marked.marks:
        return translation
    words = links.atoms(translation)
    begins, ends = [*words.begins, len(translation)], [0, *words.ends]
    restored, last = [], 0
    places = place(marked.plain, translation, marked.marks, pairs)
    for gap, group in groupby(places, key=lambda place: place[0]):
        marks = [marked.marks[number] for _, number in group]
        restored.append(translation[last : ends[gap]])
        restored.append(_gap(translation[ends[gap] : begins[gap]], marks))
        last = begins[gap]
    return "".join([*restored, translation[last:]]).strip(" ")


def _gap(blank: str, marks: list[Mark]) -> str:
    """A blank between two words, and marks on the side of it where they belong."""
    behind = list(takewhile(lambda mark: mark.back, marks))
    ahead = marks[len(behind) :]
    if any(mark.tight for mark in marks):
        blank = ""
    return blank.join("".join(mark.text for mark in some) for some in (behind, ahead))


def place(
    source: str, translation: str, marks: Sequence[Mark], pairs: Sequence[Link]
) -> list[tuple[int, int]]:
    """The gap in the translation for each mark, and its number, as they are written.

    Gap g stands before atom g. Without links, the marks stay in proportion.
    """
    texts = links.linked(source, translation, pairs)
    owns = [_own(texts.source, mark, marks[mark.partner]) for mark in marks]
    parents = _parents(marks)
    rooms = _rooms(texts, marks, owns, parents) if any(texts.targets) else None
    if rooms is None:
        return _in_proportion(texts, translation, marks, owns)
    return _written(marks, parents, rooms)


def _own(source: Atoms, mark: Mark, partner: Mark) -> range:
    """The atoms between a tag and its partner; of a lone one none, in its gap."""
    first, last = sorted((mark.position, partner.position))
    if first == last:
        gap = bisect_left(source.begins, first)
        return range(gap, gap)
    return source.within((first, last))


def _parents(marks: Sequence[Mark]) -> list[int]:
    """The number of the tag that opens the pair around each; -1 if there is none."""
    around, parents = [-1], []
    for number, mark in enumerate(marks):
        if mark.partner < number:
            around.pop()
        parents.append(around[-1])
        if mark.partner > number:
            around.append(number)
    return parents


def _rooms(
    texts: Linked, marks: Sequence[Mark], owns: Sequence[range], parents: Sequence[int]
) -> dict[int, range] | None:
    """The atoms between the tags of each pair; of a lone tag none, in its gap.

    None if that would take too long.
    """
    rooms = {-1: range(len(texts.sources))}
    around = [*owns, range(len(texts.targets))]  # of -1 too
    taken: dict[int, list[range]] = defaultdict(list)
    opening = [number for number, mark in enumerate(marks) if mark.partner >= number]
    spent = 0
    for number in opening:
        own, parent = owns[number], parents[number]
        if own:
            room = rooms[parent]
            linked = [t for s in own for t in texts.targets[s] if t in room]
            if linked:
                wanted = range(min(linked), max(linked) + 1)
                spent += len(own) + len(linked) + len(wanted)
                if spent > _MOST:
                    return None
                wanted = _run(wanted, own, texts.sources)
            else:
                wanted = _scaled(own, around[parent], room)
            rooms[number] = _free(wanted, taken[parent])
            if rooms[number]:
                insort(taken[parent], rooms[number], key=lambda run: run.start)
    for number in opening:
        if not owns[number]:
            parent = parents[number]
            gap, whole = owns[number].start, around[parent]
            gap = _spot(texts, marks[number], gap, whole, rooms[parent])
            rooms[number] = _beside(gap, taken[parent])
    return rooms


def _run(window: range, own: range, sources: list[list[int]]) -> range:
    """The run of atoms with the highest sum of votes, the longest of equal ones.

    Kadane's algorithm. An atom votes for itself if most of what it is linked to is
    inside, against it if most is outside.
    """
    best, run = (0, 0), window
    total, begin = 0, window.start
    for atom in window:
        inside = sum(1 if source in own else -1 for source in sources[atom])
        vote = (inside > 0) - (inside < 0)
        if total == 0 and begin == atom and vote <= 0:
            begin = atom + 1
            continue
        total += vote
        if total < 0:
            total, begin = 0, atom + 1
        elif vote > 0 and (total, atom - begin) > best:
            best, run = (total, atom - begin), range(begin, atom + 1)
    return run


def _scaled(part: range, whole: range, room: range) -> range:
    """What is to `room` as a part is to its whole; an atom at least, if there is."""
    ratio = len(room) / max(len(whole), 1)
    begin = room.start + int((part.start - whole.start) * ratio)
    end = room.start + int((part.stop - whole.start) * ratio)
    return range(begin, min(max(end, begin + 1), room.stop))


def _spot(texts: Linked, mark: Mark, gap: int, whole: range, room: range) -> int:
    """The gap for what stands in a gap of the source, inside `whole` of it."""
    if gap in (whole.start, whole.stop):
        return room.start if gap == whole.start else room.stop
    behind = [t + 1 for t in texts.targets[gap - 1] if t in room]
    before = [t for t in texts.targets[gap] if t in room]
    if behind and (not before or mark.back):
        return max(behind)
    return min(before) if before else _scaled(range(gap, gap), whole, room).start


def _free(wanted: range, taken: list[range]) -> range:
    """The longest part of a run beside those taken, which are in order."""
    begin, free = wanted.start, range(0)
    at = bisect(taken, begin, key=lambda run: run.stop)
    while at < len(taken) and taken[at].start < wanted.stop:
        free = max(free, range(begin, taken[at].start), key=len)
        begin, at = taken[at].stop, at + 1
    return max(free, range(begin, wanted.stop), key=len) or range(begin, begin)


def _beside(gap: int, taken: list[range]) -> range:
    """The nearest gap that is not inside a run that is taken."""
    at = bisect(taken, gap, key=lambda run: run.stop)
    if at < len(taken) and taken[at].start < gap:
        run = taken[at]
        gap = min(run.start, run.stop, key=lambda edge: abs(edge - gap))
    return range(gap, gap)


def _written(
    marks: Sequence[Mark], parents: Sequence[int], rooms: dict[int, range]
) -> list[tuple[int, int]]:
    """Gap and number of each mark: every pair in order, and inside it what it holds."""
    children: dict[int, list[int]] = defaultdict(list)
    order = sorted(rooms, key=lambda one: (rooms[one].start, rooms[one].stop, one))
    for number in reversed(order):
        if number >= 0:
            children[parents[number]].append(number)
    written, waiting = [], children[-1]
    while waiting:
        number = waiting.pop()
        opened = marks[number].partner
        if opened < number:
            written.append((rooms[opened].stop, number))
            continue
        written.append((rooms[number].start, number))
        if opened > number:
            waiting += [opened, *children[number]]
    return written


def _in_proportion(
    texts: Linked, translation: str, marks: Sequence[Mark], owns: Sequence[range]
) -> list[tuple[int, int]]:
    """In the order of the source, between words, as far along as there."""
    to, ratio = texts.target, len(texts.sources) / max(len(texts.targets), 1)
    size = len(to.begins)
    gaps = [gap for gap in range(size + 1) if between_words(to, translation, gap)]
    places, least = [], 0
    for number, (mark, own) in enumerate(zip(marks, owns, strict=True)):
        if mark.partner < number:
            at = bisect_left(gaps, min(math.ceil(own.stop * ratio), size))
        else:
            at = bisect(gaps, own.start * ratio) - 1
        least = max(least, at)
        places.append((gaps[least], number))
    return places


def between_words(to: Atoms, text: str, gap: int) -> bool:
    """Whether a gap is none inside a word, nor between one and what opens before it."""
    if gap in (0, len(to.begins)) or to.ends[gap - 1] < to.begins[gap]:
        return True
    around = text[to.begins[gap - 1]], text[to.begins[gap]]
    if any(map(_UNSPACED.match, around)):
        return True
    last = gap + 1 == len(to.begins) or to.ends[gap] < to.begins[gap + 1]
    return last and not around[1].isalnum()
