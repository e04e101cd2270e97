"""The repository's Markdown, read as GitHub reads it: headings with their anchors, links, and blocks of code."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent

# Languages of the blocks that hold commands.
SHELLS = {"sh", "console"}

# The documents whose commands .ci/run_docs.py runs, in this order.
RUN = [
    "README.md",
    "README.zh-CN.md",
    "docs/sdks.md",
    "docs/calls.md",
    "docs/clients.md",
    "docs/business-api.md",
    "docs/events.md",
    "docs/first-deployment.md",
    "docs/first-deployment.zh-CN.md",
]

# The chapters whose commands a story runs instead.
STORIES = {
    ("docs/calls.md", "examples"): "tests/stories/documented_calls.rs",
    ("docs/events.md", "try-it-locally"): "tests/stories/clients/receiver.rs",
}


@dataclass
class Block:
    """A fenced block of code: its language, the words after it, its text, and the anchor of its chapter (`##`)."""

    line: int
    language: str
    marks: list[str]
    text: str
    chapter: str


@dataclass
class Document:
    """A file: anchors of its headings, links as (line, target), blocks, and the numbers of the lines that are prose."""

    path: str
    lines: list[str]
    anchors: set[str] = field(default_factory=set)
    links: list[tuple[int, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    prose: set[int] = field(default_factory=set)


def anchor(heading):
    """The anchor that GitHub gives to a heading: https://github.com/gjtorikian/html-pipeline has the rule."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def words(inline):
    return "".join(token.content for token in inline.children if token.type in ("text", "code_inline"))


def targets(token):
    """Where links and pictures of a piece of text lead, with those in HTML."""
    for child in token.children or [token]:
        if child.type in ("html_inline", "html_block"):
            yield from re.findall(r'\b(?:href|src|srcset)="([^"]+)"', child.content)
        elif child.type in ("link_open", "image"):
            yield child.attrs.get("href") or child.attrs["src"]


def parse(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    document, chapter = Document(path, text.splitlines()), ""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for token, following in zip(tokens, [*tokens[1:], None]):
        first, end = token.map or (0, 0)
        if token.type == "heading_open":
            name = anchor(words(following))
            same = [it for it in document.anchors if re.fullmatch(re.escape(name) + r"(-\d+)?", it)]
            name = f"{name}-{len(same)}" if name in document.anchors else name
            document.anchors.add(name)
            chapter = name if token.tag in ("h1", "h2") else chapter
        elif token.type == "paragraph_open":
            document.prose |= set(range(first, end))
        elif token.type in ("inline", "html_block"):
            document.links += [(first + 1, target) for target in targets(token)]
        elif token.type == "fence":
            language, *marks = token.info.split() or [""]
            document.blocks.append(Block(first + 1, language, marks, token.content, chapter))
    return document


def documents():
    """Every Markdown file that git knows, by its path."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    return {path: parse(path) for path in listed.stdout.splitlines()}
