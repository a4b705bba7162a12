"""Reading a page as a browser does."""

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """The elements of a page, and the text in them.

    Attributes:
        elements: tag and attributes of each, in order.
        inside: for each of them the text directly in it.
    """

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.inside, self._open = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self._open.append(len(self.elements))
        self.elements.append((tag, dict(attrs)))
        self.inside.append("")
        if tag in {"meta", "link", "br", "input"}:
            self._open.pop()

    def handle_endtag(self, tag):
        while self._open and self.elements[self._open.pop()][0] != tag:
            pass

    def handle_data(self, data):
        if self._open:
            self.inside[self._open[-1]] += data

    def texts(self, tag):
        """What is in the elements of a tag."""
        found = zip(self.elements, self.inside, strict=True)
        return [text for (name, _), text in found if name == tag]

    def data(self, name):
        """What scripts find in the element of an id."""
        found = zip(self.elements, self.inside, strict=True)
        [text] = [text for (_, attrs), text in found if attrs.get("id") == name]
        return json.loads(text)

    @property
    def policy(self):
        """Directives of the Content-Security-Policy."""
        [content] = [
            attrs["content"]
            for _, attrs in self.elements
            if attrs.get("http-equiv") == "Content-Security-Policy"
        ]
        parts = [part.split() for part in content.split(";")]
        return {name: values for name, *values in parts}


def curves(run):
    """The curves in the report of a run, without what differs from time to time."""
    page = Page((run / "report.html").read_text("utf-8"))
    return {k: v for k, v in page.data("curves").items() if k != "speed"}
