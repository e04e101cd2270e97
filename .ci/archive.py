#!/usr/bin/env python3
"""Packs a released archive out of binaries that .ci/package has built.

    .ci/archive.py VERSION ARCHITECTURE BUILT TARGET

BUILT/ARCHITECTURE/NAME/bootstrap is the binary of the function NAME, BUILT/…/ops/bootstrap the operators' tool for
either architecture, and BUILT/THIRD-PARTY-LICENSES.txt what .ci/licenses.py prints. Writes
TARGET/wechat-platform-VERSION-ARCHITECTURE.tar.gz, whose bytes depend on nothing but these, the repository's files,
SOURCE_DATE_EPOCH (the time of all its files) and Python's zlib.
"""

import gzip
import io
import os
import re
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Their numbers in the header of a program, ELF's e_machine.
ARCHITECTURES = {"arm64": 183, "x86_64": 62}

# Files of the repository that the archive has as they are.
COPIED = ("CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT")
READMES = ("README.md", "README.zh-CN.md")
LICENSES = "THIRD-PARTY-LICENSES.txt"

# The first time that a zip can have. Not that of the commit: a function whose binary is the same stays the same for
# AWS, and is not deployed again.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def template(text, architecture):
    """template.yaml with a zip as the code of each function, nothing for `sam build`, and one architecture."""
    text = re.sub(r"^(      CodeUri: functions/\S+)$", r"\1.zip", text, flags=re.M)
    text = re.sub(r"^      BuildMethod: .*\n      BuildProperties:\n(?:        .*\n)+", "", text, flags=re.M)
    text = re.sub(r"^    Metadata:\n(?=    \S)", "", text, flags=re.M)
    parameter = r"^(  Architecture:\n    Type: String\n    Default: ).*(\n    Description: .*\n    AllowedValues: ).*$"
    return re.sub(parameter, rf"\g<1>{architecture}\g<2>[{architecture}]", text, flags=re.M)


def code_of(text):
    """The paths of all functions' zips in a template of ours."""
    return re.findall(r"^      CodeUri: (functions/\S+\.zip)$", text, flags=re.M)


def samconfig(text):
    """samconfig.toml without the options of `sam build`."""
    return re.sub(r"^\[default\.build\..*\n(?:(?!\[).*\n)*", "", text, flags=re.M)


def program(path, architecture):
    """A binary that processors of this architecture can run."""
    binary = path.read_bytes()
    if binary[:4] != b"\x7fELF" or int.from_bytes(binary[18:20], "little") != ARCHITECTURES[architecture]:
        sys.exit(f"{path} is not a program for {architecture}")
    return binary


def zipped(binary):
    """A function's binary as Lambda takes it."""
    entry = zipfile.ZipInfo("bootstrap", ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    # Unix, whatever this machine is; a regular file that everybody may read and run.
    entry.create_system, entry.external_attr = 3, 0o100755 << 16
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(entry, binary, compresslevel=9)
    return target.getvalue()


def contents(version, architecture, built):
    """Path in the archive -> its bytes, and whether it is a program."""
    def written(path):
        return (ROOT / path).read_text(encoding="utf-8")

    deployed = template(written("template.yaml"), architecture)
    files = {"template.yaml": deployed.encode(), "samconfig.toml": samconfig(written("samconfig.toml")).encode()}
    for name in READMES:
        readme = written(f".ci/release/{name}").replace("{version}", version).replace("{architecture}", architecture)
        files[name] = readme.encode()
    files |= {name: written(name).encode() for name in COPIED}
    files[LICENSES] = (built / LICENSES).read_bytes()
    for path in code_of(deployed):
        files[path] = zipped(program(built / architecture / Path(path).stem / "bootstrap", architecture))
    programs = {"ops": written(".ci/release/ops").encode()}
    programs |= {f"bin/ops-{it}": program(built / it / "ops/bootstrap", it) for it in ARCHITECTURES}
    return {path: (content, False) for path, content in files.items()} | {
        path: (content, True) for path, content in programs.items()
    }


def packed(name, files, time):
    """A .tar.gz of one folder."""
    target = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as compressed:
        with tarfile.open(mode="w", fileobj=compressed, format=tarfile.USTAR_FORMAT) as archive:
            for path, (content, is_program) in sorted(files.items()):
                entry = tarfile.TarInfo(f"{name}/{path}")
                entry.size, entry.mtime, entry.mode = len(content), time, 0o755 if is_program else 0o644
                archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def main(version, architecture, built, target):
    name = f"wechat-platform-{version}-{architecture}"
    archive = packed(name, contents(version, architecture, Path(built)), int(os.environ["SOURCE_DATE_EPOCH"]))
    Path(target).mkdir(exist_ok=True)
    (Path(target) / f"{name}.tar.gz").write_bytes(archive)


if __name__ == "__main__":
    main(*sys.argv[1:])
