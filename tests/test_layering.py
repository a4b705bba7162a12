"""The import graph of the package, written down, and the sizes of its parts."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "transformer"

# From the leaves up: the modules of each rung, and all that they import of ours.
RUNGS: list[dict[str, str]] = [
    {
        "axes": "",
        "backend": "",
        "compression": "",
        "config": "errors limits",
        "errors": "",
        "limits": "errors",
        "settings": "config errors",
        "symbols": "",
    },
    {
        "alphabets": "",
        "attention": "backend dropout linear positions",
        "checks": "",
        "cleaning": "errors marks",
        "constraints": "largest rules search selects symbols",
        "downloads": "errors",
        "dropout": "",
        "embeddings": "products",
        "faults": "alphabets cleaning marks text",
        "feed_forward": "backend dropout linear remat",
        "heads": "",
        "interrupts": "",
        "lanes": "",
        "largest": "",
        "lifting": "links placing spans text",
        "linear": "axes products",
        "links": "text",
        "losses": "backend products symbols",
        "marks": "",
        "markup": "placing text",
        "masks": "symbols",
        "mbr": "",
        "metrics": "",
        "mixture": "",
        "neighbours": "tokenizer",
        "norms": "products",
        "optimizers": "axes config errors paths",
        "packing": "",
        "parallel": "axes config errors paths",
        "paths": "",
        "phrases": "errors symbols text tokenizer",
        "placing": "links text",
        "portions": "",
        "positions": "",
        "processes": "errors",
        "products": "backend",
        "progress": "",
        "reference": "axes config symbols",
        "remat": "backend",
        "rules": "errors search symbols",
        "sampling": "largest search",
        "search": "largest symbols",
        "segmentation": "",
        "selects": "errors largest rules search symbols",
        "sentences": "",
        "spans": "",
        "strategies": "errors mbr sampling search selects",
        "terms": "errors phrases spans text",
        "text": "sentences",
        "tokenizer": "errors segmentation symbols text",
        "vocabulary": "symbols tokenizer",
        "workers": "errors",
    },
    {
        "batches": "errors packing portions store symbols",
        "corpora": "cleaning compression errors phrasebook sources",
        "dataset": (
            "batches cleaning config corpora encoding errors marks mixture pieces "
            "reports selection store text tokenizer"
        ),
        "devices": "backend parallel seating store workers",
        "encoding": "cleaning config corpora selection store tokenizer workers",
        "layers": "attention config dropout feed_forward norms positions",
        "pages": "cleaning config errors reports settings",
        "phrasebook": "",
        "pieces": "cleaning config corpora mixture selection store text tokenizer",
        "reports": "batches cleaning store tokenizer",
        "seating": "search strategies symbols",
        "selection": "cleaning corpora errors faults marks store workers",
        "sources": "downloads errors store",
        "store": "errors",
    },
    {
        "budget": "axes batches errors",
        "checkpoints": "errors processes",
        "folder": "checkpoints config errors settings tokenizer",
        "model": (
            "attention backend config dropout embeddings layers masks norms positions "
            "remat"
        ),
        "weights": "axes checkpoints errors model parallel",
    },
    {
        "alignments": "axes cleaning model observations scoring text tokenizer",
        "comparisons": (
            "alignments errors layers masks neighbours observations seating symbols "
            "text traces translator"
        ),
        "engine": "axes lanes networks parallel search seating strategies",
        "explanations": (
            "alignments cleaning errors lexicons neighbours parts scoring seating "
            "strategies symbols tasks text tokenizer traces translator trees"
        ),
        "judgement": "corpora errors metrics",
        "lexicons": "axes errors neighbours text tokenizer translator",
        "lines": "alignments checks links markup parts placing spans tasks text",
        "loading": "axes devices errors folder model tokenizer translator weights",
        "networks": "attention axes backend errors linear model search",
        "observations": "attention axes embeddings layers model norms positions",
        "options": (
            "config corpora errors phrases rules search seating spans strategies "
            "terms text tokenizer translator"
        ),
        "parts": (
            "alignments axes checks cleaning engine lifting links phrases search spans "
            "strategies symbols tasks tokenizer"
        ),
        "scoring": "axes cleaning devices model seating symbols tokenizer",
        "shards": "compression errors",
        "streams": "alignments corpora errors lines shards workers",
        "tasks": (
            "checks constraints phrases rules search seating selects spans "
            "strategies symbols tokenizer"
        ),
        "traces": (
            "alignments heads observations scoring seating symbols tokenizer translator"
        ),
        "translator": (
            "alignments axes cleaning devices engine errors lines model networks "
            "parallel parts scoring search seating spans strategies symbols tasks "
            "terms tokenizer"
        ),
        "trees": "axes largest model networks search seating strategies symbols traces",
        "verification": "axes config reference seating strategies tokenizer translator",
    },
    {
        "evaluation": (
            "axes batches cleaning config dataset errors metrics parallel step "
            "store strategies tokenizer translator"
        ),
        "experiments": "config",
        "finetuning": (
            "checkpoints config dataset errors folder optimizers parallel paths pieces "
            "step tokenizer training update vocabulary weights"
        ),
        "fit": (
            "batches budget checkpoints config dataset errors evaluation finetuning "
            "folder optimizers pages parallel processes settings step tokenizer "
            "training update weights"
        ),
        "insights": (
            "comparisons explanations lexicons pages panels strategies streams "
            "translator walks"
        ),
        "journal": "evaluation pages",
        "orders": (
            "backend budget errors lines loading options scripts translator workers"
        ),
        "panels": "comparisons explanations heads neighbours pages trees",
        "scripts": "devices errors processes",
        "step": "axes backend batches layers losses masks model parallel symbols",
        "training": (
            "axes batches checkpoints config dataset devices errors evaluation "
            "folder interrupts journal losses model optimizers pages parallel "
            "processes progress step strategies tokenizer update weights"
        ),
        "update": "batches budget config errors parallel step",
        "walks": "comparisons explanations lexicons neighbours text",
    },
    {
        "train": "config errors experiments fit folder pages processes scripts",
        "transformer": (
            "attention config embeddings errors explanations loading model networks "
            "positions search strategies translator"
        ),
        "translate": (
            "cleaning corpora errors insights judgement options orders scripts shards "
            "strategies streams translator verification weights"
        ),
    },
]
ALLOWED = {name: set(of.split()) for rung in RUNGS for name, of in rung.items()}
RUNG = {module: number for number, rung in enumerate(RUNGS) for module in rung}

LEAVES = (
    "masks positions products linear norms embeddings attention feed_forward dropout "
    "remat losses".split()
)
SEARCH = "search sampling strategies rules selects constraints".split()
DATA = (
    "sentences text spans links placing markup checks segmentation tokenizer "
    "vocabulary phrases terms mbr cleaning compression downloads sources corpora "
    "mixture portions store batches dataset phrasebook reports alphabets faults "
    "marks workers selection encoding pieces pages packing"
).split()
PLAIN = [*DATA, "reference"]
IMPORTERS = {
    "jinja2": {"pages"},
    "orbax": {"checkpoints"},
    "tyro": {"train", "translate"},
    "pickle": set(),
    "tensorflow": set(),
    "torch": set(),
}


def module_of(path):
    """A folder with its files is one module; so is `__init__`, the public names."""
    if path == PACKAGE / "__init__.py":
        return "transformer"
    inside = path.relative_to(PACKAGE if PACKAGE in path.parents else ROOT)
    return inside.parts[0].removesuffix(".py")


SOURCES = sorted([*PACKAGE.rglob("*.py"), *ROOT.glob("*.py")])
TREES = {path: ast.parse(path.read_text("utf-8")) for path in SOURCES}


def names(tree):
    """Dotted names of all that a file imports, `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports would escape this test"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(module):
    """Dotted names of all that the files of `module` import."""
    trees = [tree for path, tree in TREES.items() if module_of(path) == module]
    return {name for tree in trees for name in names(tree)}


def siblings(module):
    """The other modules of ours that `module` imports."""
    found = set()
    for name in imports(module):
        top, _, rest = name.partition(".")
        if top == "transformer":
            inner = rest.split(".")[0]
            found.add(inner if inner in ALLOWED else "transformer")
    return found - {module}


def reach(module):
    """`module` and all that it imports of ours, directly or not."""
    return {module}.union(*(reach(inner) for inner in ALLOWED[module]))


@pytest.mark.parametrize("module", ALLOWED)
def test_a_module_imports_what_the_table_says_and_nothing_else(module):
    assert siblings(module) == ALLOWED[module]


@pytest.mark.parametrize("module", ALLOWED)
def test_no_module_imports_from_a_higher_rung(module):
    assert not {inner for inner in ALLOWED[module] if RUNG[inner] > RUNG[module]}


def test_the_table_holds_every_module_once_and_has_no_cycle():
    assert set(ALLOWED) == {module_of(path) for path in SOURCES}
    assert len(ALLOWED) == sum(len(rung) for rung in RUNGS)
    graphlib.TopologicalSorter(ALLOWED).prepare()  # raises CycleError


def test_in_the_readme_a_module_imports_from_its_own_line_and_from_those_above_it():
    _, _, table = (ROOT / "README.md").read_text("utf-8").partition("| module |")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    line = {name: n for n, row in enumerate(rows) for name in re.findall(r"\w+", row)}
    assert set(line) == set(ALLOWED) - {"train", "transformer", "translate"}
    for module in line:
        assert all(line[inner] <= line[module] for inner in ALLOWED[module]), module


@pytest.mark.parametrize("module", [*LEAVES, *SEARCH])
def test_leaves_and_the_search_know_no_config_and_no_model(module):
    assert not reach(module) & {"config", "layers", "model"}


@pytest.mark.parametrize("module", PLAIN)
def test_data_code_and_the_reference_know_no_jax(module):
    external = {
        name.split(".")[0] for inner in reach(module) for name in imports(inner)
    }
    assert not external & {"jax", "flax", "optax", "orbax"}


@pytest.mark.parametrize("library", IMPORTERS)
def test_a_library_is_imported_where_it_belongs(library):
    importers = {
        module
        for module in ALLOWED
        if library in {name.split(".")[0] for name in imports(module)}
    }
    assert importers == IMPORTERS[library]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_file_is_over_300_lines_and_no_function_over_60(path):
    assert len(path.read_text("utf-8").splitlines()) <= 300
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name
