"""What a forge has in Markdown and MyST has not: formulas in the text, links out of docs/, the list of pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
FENCED = re.compile(r"^(?P<fence>`{3,}).*?^(?P=fence)[ ]*$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$`(.+?)`\$", re.DOTALL)
LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)")


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """The text, changed where it is no block of code and no block of formulas."""
    pieces, end = [], 0
    for fenced in FENCED.finditer(text):
        pieces += [change(text[end : fenced.start()]), fenced.group()]
        end = fenced.end()
    return "".join([*pieces, change(text[end:])])


def read_page(app: Sphinx, page: str, content: list[str]) -> None:
    content[0] = outside_fences(content[0], lambda text: FORMULA.sub(r"{math}`\1`", outside_docs(app, page, text)))
    if page == app.config.root_doc:
        content[0] += "".join(page_lists(content[0]))


def outside_docs(app: Sphinx, page: str, text: str) -> str:
    """A link to a file of the project that is no page: it has to be there, and the site names it."""
    docs = Path(app.srcdir)

    def named(link: re.Match[str]) -> str:
        file, _, _ = link["target"].partition("#")
        path = (docs / page).parent.joinpath(file).resolve()
        if not file or "://" in file or path.is_relative_to(docs):
            return link.group()
        if not path.exists():
            logger.warning("a link to %s, which is not there", link["target"], location=page)
        name = path.relative_to(docs.parent).as_posix() if path.is_relative_to(docs.parent) else file
        return link["text"] if name in link["text"] else f"{link['text']} (`{name}`)"

    return LINK.sub(named, text)


def page_lists(index: str) -> Iterator[str]:
    """The side bar: the pages that each section of the index links to. Sphinx warns of a page that is in none."""
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        pages = [link["target"] for link in LINK.finditer(body) if link["target"].endswith(".md")]
        yield "\n".join(["\n", "```{toctree}", ":hidden:", f":caption: {title.strip()}", "", *pages, "```", ""])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", read_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
