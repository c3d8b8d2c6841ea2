"""What every page must hold, checked on each one a test fetches: it parses, it is labelled, and nothing runs inline."""

from collections import Counter
from html.parser import HTMLParser

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
OPTIONAL_END = frozenset(
    ["li", "dt", "dd", "p", "option", "tr", "td", "th", "thead", "tbody", "tfoot", "caption", "colgroup"]
)
SVG_LEAVES = frozenset(["path", "circle", "rect", "line", "polyline", "polygon", "use", "stop"])
HEADINGS = tuple(f"h{level}" for level in range(1, 7))
UNLABELLED = frozenset({"hidden", "submit", "button", "reset", "image"})


class Page(HTMLParser):
    """One pass over a page; ``faults`` says what is wrong with it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.wanted: list[tuple[str, str]] = []  # (why, id that must exist)
        self.labels: set[str] = set()
        self.inputs: list[dict[str, str]] = []
        self.headings: list[int] = []
        self.names: list[tuple[str, bool]] = []  # links and buttons with whether they have a name
        self.forms: list[tuple[str, bool]] = []
        self.title = ""
        self.text = ""
        self.whole = "<html" in html[:400].lower()
        self.feed(html)
        self.close()
        self._judge(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if len(found) != len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        self._attributes(tag, found)
        self._elements(tag, found)
        if tag not in VOID and not (tag in SVG_LEAVES and "svg" in self.open):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID and self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID or tag in SVG_LEAVES:
            return
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL_END:
            self.open.pop()
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1] if self.open else 'nothing'} at {self.getpos()}")
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "title" in self.open and "svg" not in self.open:
            self.title += data
        if "script" in self.open and data.strip():
            self.faults.append("inline script")
        if data.strip():
            self.text += data
            if self.names and ("a" in self.open or "button" in self.open):
                self.names[-1] = (self.names[-1][0], True)

    def _attributes(self, tag: str, found: dict[str, str]) -> None:
        if "id" in found:
            self.ids[found["id"]] += 1
        if "style" in found or tag == "style":
            self.faults.append(f"inline style on <{tag}>")
        self.faults += [f"handler {name} on <{tag}>" for name in found if name.startswith("on")]
        for name in ("href", "src", "action"):
            if found.get(name, "").lower().startswith(("javascript:", "data:text", "http://", "//")):
                self.faults.append(f"<{tag} {name}={found[name]}>")
        for name in ("aria-describedby", "aria-labelledby", "aria-controls"):
            self.wanted += [(f"{name} of <{tag}>", target) for target in found.get(name, "").split()]

    def _elements(self, tag: str, found: dict[str, str]) -> None:
        if tag == "html" and not found.get("lang"):
            self.faults.append("<html> without lang")
        if tag in HEADINGS:
            self.headings.append(int(tag[1]))
        if tag == "label" and "for" in found:
            self.labels.add(found["for"])
            self.wanted.append(("label for", found["for"]))
        if tag == "img" and "alt" not in found:
            self.faults.append("<img> without alt")
        if (
            tag in ("input", "select", "textarea")
            and found.get("type", "text") not in UNLABELLED
            and "label" not in self.open
        ):
            self.inputs.append({"tag": tag, **found})
        if tag in ("a", "button"):
            self.names.append((f"<{tag} {found.get('href', '')}>", "aria-label" in found))
        if tag == "form":
            self.forms.append((found.get("action", ""), found.get("method", "get").lower() != "post"))
        if tag == "input" and found.get("name") == "csrf_token" and found.get("value") and self.forms:
            self.forms[-1] = (self.forms[-1][0], True)
        if tag == "th" and "scope" not in found:
            self.faults.append("<th> without scope")

    def _judge(self, html: str) -> None:
        self.faults += [f"<{tag}> is never closed" for tag in self.open if tag not in OPTIONAL_END]
        self.faults += [f"id {name} stands {count} times" for name, count in self.ids.items() if count > 1]
        self.faults += [f"{why} points at no id {target}" for why, target in self.wanted if target not in self.ids]
        self.faults += [f"form {action} posts without its token" for action, safe in self.forms if not safe]
        self.faults += [f"{what} has no name" for what, named in self.names if not named]
        for field in self.inputs:
            if field.get("id") not in self.labels and not {"aria-label", "aria-labelledby"} & field.keys():
                self.faults.append(f"<{field['tag']} name={field.get('name')}> has no label")
        if self.whole:
            self._judge_document(html)

    def _judge_document(self, html: str) -> None:
        if not html.lstrip().lower().startswith("<!doctype html>"):
            self.faults.append("no doctype")
        if self.headings.count(1) != 1:
            self.faults.append(f"{self.headings.count(1)} h1")
        if len(self.title.strip()) < 3:
            self.faults.append("no title")
        steps = zip(self.headings, self.headings[1:], strict=False)
        self.faults += [f"heading jumps from h{above} to h{below}" for above, below in steps if below > above + 1]


def lint(html: str) -> list[str]:
    """Everything wrong with ``html``, a page or a fragment of one."""
    return Page(html).faults
