#!/usr/bin/env python3
"""What readers of the documents rely on: links lead somewhere, indexes are complete, and commands have been tried.

Prints a line for everything that is not as it is meant. Makes no request: links to other sites are not followed.
"""

import os
import re
import sys
import unicodedata
from urllib.parse import unquote

from documents import ROOT, RUN, SHELLS, STORIES, documents

WIDTH = 120

# What a block of commands needs that the tests do not have. Renderers do not show these words after the language.
NEEDS = {
    "aws": "an AWS account",
    "docker": "Docker",
    "slow": "minutes, because it compiles or measures",
}

# This mark says that .ci/run has the command itself. Commands without a mark are run as documents.py says.
IN_CI = "ci"

# Where each document of docs/ is listed: for readers of the repository, and for the site.
INDEXES = ["docs/README.md", "docs/SUMMARY.md"]

# How a command begins that is in a block without a language.
COMMAND = re.compile(r"(\$ )?(\w+=\S* )*(cargo|curl|aws|sam|git|pip|python3|\./ops|export|[\w/-]+\.(py|sh))( |$)")


def columns(line):
    """The width of a line in an editor: a Chinese character takes two columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def resolved(path, target):
    """The file and the anchor that a relative link leads to."""
    file, _, name = unquote(target).partition("#")
    return os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path, name


def check_links(found):
    for path, document in found.items():
        for line, target in document.links:
            if re.match(r"[a-z]+:", target):
                continue
            file, name = resolved(path, target)
            if file.startswith("..") or not (ROOT / file).exists():
                yield f"{path}:{line}: there is no {target}"
            elif name and file in found and name not in found[file].anchors:
                yield f"{path}:{line}: {file} has no heading #{name}"


def check_indexes(found):
    for index in INDEXES:
        listed = {resolved(index, target)[0] for _, target in found[index].links}
        for path in found:
            # The decisions have an index of their own, which is listed.
            is_nested = index == "docs/README.md" and os.path.dirname(path) != "docs"
            if path.startswith("docs/") and path not in [*listed, *INDEXES] and not is_nested:
                yield f"{index}: {path} is not listed"


def check_width(found):
    for path, document in found.items():
        for number in sorted(document.prose):
            line = document.lines[number]
            # An address cannot be broken.
            if columns(line) > WIDTH and columns(re.sub(r"\S*://\S*", "", line)) == columns(line):
                yield f"{path}:{number + 1}: {columns(line)} columns, more than {WIDTH}"


def check_commands(found):
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    for path, document in found.items():
        for block in document.blocks:
            here = f"{path}:{block.line}"
            if not block.language and COMMAND.match(block.text):
                yield f"{here}: commands without a language: write ```sh"
            if block.language not in SHELLS:
                continue
            if len(block.marks) > 1 or not {*block.marks} <= {*NEEDS, IN_CI}:
                yield f"{here}: {block.marks} is not one of {[*NEEDS, IN_CI]}"
            elif block.marks == [IN_CI]:
                yield from (f"{here}: .ci/run has no {it}" for it in block.text.splitlines() if it not in ci)
            elif not block.marks:
                story = STORIES.get((path, block.chapter))
                if path not in ((ROOT / story).read_text(encoding="utf-8") if story else RUN):
                    by = story or ".ci/run_docs.py"
                    yield f"{here}: {by} does not run it: add {path} there, or a mark for what it needs"


CHECKS = [check_links, check_indexes, check_width, check_commands]


def main():
    found = documents()
    problems = [problem for check in CHECKS for problem in check(found)]
    links, blocks = (sum(len(getattr(it, of)) for it in found.values()) for of in ("links", "blocks"))
    print(f"{len(found)} documents, {links} links, {blocks} blocks of code")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
