"""What the README shows in Python runs as it stands."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_parts_by_themselves_run_as_shown():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (shown,) = (block for block in blocks if "beam_search" in block)
    names = {}
    exec(shown, names)
    assert names["logits"].shape == (1, 3, 1000)
    best, second = names["found"].scores[0]
    assert best >= second > -16 * 10
