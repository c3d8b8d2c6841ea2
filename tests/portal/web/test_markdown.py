"""Strangers' Markdown: what it may hold comes through, what could harm does not."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.web.markdown import ATTRIBUTES, TAGS, render

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![a](https://example.org/pixel.png)",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](vbscript:x)",
    "[a](//elsewhere.example)",
    "<iframe src=https://example.org></iframe>",
    '<a href="https://example.org" onclick="x()">a</a>',
    "<style>body{display:none}</style>",
    '<svg onload="alert(1)">',
    "<form action=https://example.org><input></form>",
    "```<script>alert(1)</script>```",
    "[a]: javascript:alert(1)\n\n[a]",
    "<https://example.org/<script>>",
]
TAG = re.compile(r"</?([a-z0-9]+)((?:\s[^>]*)?)>")


def allowed(html: str) -> bool:
    """Whether only listed tags and attributes are left, and every link goes where links may go."""
    for tag, attributes in TAG.findall(html):
        if tag not in TAGS:
            return False
        for name in re.findall(r'\s([a-z-]+)="', attributes):
            if name not in ATTRIBUTES.get(tag, set()) | {"rel"}:
                return False
        for target in re.findall(r'href="([^"]*)"', attributes):
            scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*):", target)
            if target.startswith("//") or (scheme and scheme[1].lower() not in {"https", "http", "mailto"}):
                return False
    return "<script" not in html.lower()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_is_harmless(text: str) -> None:
    html = str(render(text))
    assert allowed(html), html
    assert "<img" not in html


@given(st.text(alphabet=st.sampled_from("<>[]()!\"'`#*_|-:/\\&;=javscriptdonxleh \n1"), max_size=120))
def test_no_text_gets_past_the_list(text: str) -> None:
    assert allowed(str(render(text)))


def test_templates_in_text_are_text() -> None:
    assert "{{7*7}}" in render("{{7*7}}")


def test_headings_leave_the_first_level_to_the_page() -> None:
    html = render("# Title\n\n## Part")
    assert "<h2>Title</h2>" in html
    assert "<h3>Part</h3>" in html
    assert "<h1" not in html


def test_the_highest_heading_comes_right_below_the_title_of_the_page() -> None:
    html = render("### Deep\n\n#### Deeper")
    assert "<h2>Deep</h2>" in html
    assert "<h3>Deeper</h3>" in html


def test_an_empty_head_of_a_table_is_left_out() -> None:
    html = render("| | |\n|---|---|\n| a | b |")
    assert "<th" not in html
    assert "<td>a</td>" in html


def test_tables_lists_code_and_links_come_through() -> None:
    html = render("| a | b |\n|---|---|\n| 1 | 2 |\n\n1. one\n\n`x < y` [paper](https://example.org/p)")
    assert "<th>a</th>" in html
    assert "<li>one</li>" in html
    assert "<code>x &lt; y</code>" in html
    assert 'href="https://example.org/p"' in html
    assert "noopener" in html


def test_nothing_is_nothing() -> None:
    assert render(None) == render("") == ""
