"""Pages that open from disk: one HTML file each that loads nothing and trusts no text.

A page is a template that extends `page.html`. What comes from data, Jinja escapes; the
styles and scripts are files beside the templates, and the Content-Security-Policy of a
page lets nothing else apply or run: a tag in a translation would stay text even if the
escaping failed.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from transformer.errors import InputError

STYLE = "page.css"
"""The styles that all pages share."""

_TEMPLATES = resources.files(__name__) / "templates"

_environment = Environment(
    loader=PackageLoader(__name__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# `tojson` escapes what could end a script element, and refuses what is not JSON.
_environment.policies["json.dumps_kwargs"] = {
    "allow_nan": False,
    "ensure_ascii": False,
    "separators": (",", ":"),
}


def document(template: str, assets: Sequence[str], **values: Any) -> str:
    """A whole page.

    Args:
        template: a file of `templates/` that extends `page.html`.
        assets: further files of it, the page's .css and .js, in their order.
        values: for the template. Strings are escaped; data for a script goes into
            `<script type="application/json">` by the filter `tojson`.
    """
    styles = [_asset(name) for name in (STYLE, *assets) if name.endswith(".css")]
    scripts = [_asset(name) for name in assets if name.endswith(".js")]
    return _environment.get_template(template).render(
        values, styles=styles, scripts=scripts, policy=_policy(styles, scripts)
    )


def write(path: Path, page: str) -> None:
    """Replaces a file at once: whoever opens it finds the old page or this one.

    Raises:
        InputError: if it cannot be written.
    """
    draft = path.with_name(path.name + ".draft")
    try:
        draft.write_text(page, "utf-8", errors="replace")  # e.g. half a surrogate pair
        draft.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error


def _asset(name: str) -> Markup:
    """A style or script as it stands in the page, byte for byte."""
    return Markup((_TEMPLATES / name).read_text("utf-8"))


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    """https://www.w3.org/TR/CSP3/, for a page that needs no network."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hashes(styles)}",
            f"script-src {_hashes(scripts)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hashes(texts: Sequence[str]) -> str:
    digests = [hashlib.sha256(text.encode()).digest() for text in texts]
    named = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    return " ".join(named) or "'none'"
