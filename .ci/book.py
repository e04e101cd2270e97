#!/usr/bin/env python3
"""A preprocessor of mdBook (book.toml): gives each page its place on the site, and lets links lead there.

Documents name each other by their paths in the repository, some of them outside of docs/, so that links work at GitHub.
Pages of docs/ are at the root of the site and all others below repository/. A link to a file that is not on the site
leads to the repository, whose address is the setting output.html.git-repository-url.
"""

import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = "docs"
CHINESE = ".zh-CN.md"

# A target in Markdown, and one in HTML.
TARGETS = re.compile(r'(?<=\]\()[^)\s]+(?=\))|(?<=(?:ref|src)=")[^"]+(?=")|(?<=srcset=")[^"]+(?=")')
# A line break after a Chinese punctuation mark, within a paragraph. Browsers show it as a space.
CHINESE_BREAK = re.compile(r"(?<=[，。；：、）！？])\n *(?![\s\-*|#>`!]|\d+\. )")
FENCE = re.compile(r"^( *)```.*?^\1``` *$", re.MULTILINE | re.DOTALL)


def within(base, path):
    """A relative path as one of the repository."""
    return os.path.normpath(os.path.join(base, path))


def place(path):
    """Where a file of the repository is on the site, if it is there."""
    folder, name = os.path.split(path)
    if path.startswith(f"{SOURCE}/"):
        folder = os.path.relpath(folder, SOURCE)
        # The first page of the site is the README of the whole.
        name = "documents.md" if path == f"{SOURCE}/README.md" else name
    elif folder or not name.startswith("README"):
        folder = f"repository/{folder}"
    name = {"README.md": "index.md", "README.zh-CN.md": "zh-CN.md"}.get(name, name)
    return os.path.normpath(os.path.join(folder, name))


def chapters(items):
    for item in items:
        if isinstance(item, dict) and "Chapter" in item:
            yield item["Chapter"]
            yield from chapters(item["Chapter"]["sub_items"])


def rewritten(content, path, pages, repository):
    """A page's content with targets as they are on the site."""

    def target(match):
        file, hash_sign, anchor = match[0].partition("#")
        if not file or re.match(r"[a-z]+:", file):
            return match[0]
        file = within(os.path.dirname(path), file)
        if not (ROOT / file).exists():
            return match[0]
        if file in pages or (file.startswith(f"{SOURCE}/") and (ROOT / file).is_file()):
            return os.path.relpath(place(file), os.path.dirname(place(path))) + hash_sign + anchor
        return f"{repository}/blob/HEAD/{file}{hash_sign}{anchor}" if repository else "#"

    def text(part):
        part = TARGETS.sub(target, part)
        return CHINESE_BREAK.sub("", part) if path.endswith(CHINESE) else part

    parts, end = [], 0
    for fence in FENCE.finditer(content):
        parts += [text(content[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, text(content[end:])])


def main():
    if sys.argv[1:2] == ["supports"]:
        sys.exit(sys.argv[2] != "html")
    context, book = json.load(sys.stdin)
    repository = context["config"]["output"]["html"].get("git-repository-url", "").rstrip("/")
    found = list(chapters(book["items"]))
    paths = [within(SOURCE, chapter["path"]) for chapter in found]
    for chapter, path in zip(found, paths):
        content = rewritten(chapter["content"], path, set(paths), repository)
        if path.endswith(CHINESE):
            content = f'<div lang="zh-CN">\n\n{content}\n\n</div>\n'
        chapter.update(content=content, path=place(path))
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
