"""Strangers' Markdown to safe HTML: parsed without raw HTML, then cleaned against a list of allowed tags."""

import re
from functools import lru_cache
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

EMPTY_HEAD = re.compile(r"<thead>\s*<tr>(?:\s*<th></th>)+\s*</tr>\s*</thead>")
TAGS = {
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
}
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "th": {"scope"}}
SCHEMES = {"https", "http", "mailto"}


def _safe_link(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in SCHEMES or (not parts.scheme and not parts.netloc and not url.startswith("//"))


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False})
    return parser.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])


@lru_cache(maxsize=64)
def render(text: str | None) -> Markup:
    """CommonMark with tables, as HTML without scripts, handlers, frames, styles or images.

    The highest heading becomes h2, since the page itself holds the only h1. A table's empty head is left out.
    Links carry rel="noopener noreferrer nofollow" and may be https, http, mailto or relative.
    """
    parser = _parser()
    parser.validateLink = _safe_link  # type: ignore[method-assign]
    tokens = parser.parse(text or "")
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    highest = min((int(token.tag[1]) for token in headings), default=1)
    for token in headings:
        token.tag = f"h{min(int(token.tag[1]) - highest + 2, 6)}"
    html = parser.renderer.render(tokens, parser.options, {})
    clean = nh3.clean(
        html, tags=TAGS, attributes=ATTRIBUTES, url_schemes=SCHEMES, link_rel="noopener noreferrer nofollow"
    )
    return Markup(EMPTY_HEAD.sub("", clean))  # noqa: S704 - cleaned by nh3 above
