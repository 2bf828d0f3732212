"""The house: sizes of files and packages, and where formats and methods are told by name."""

import ast

import pytest

from tests.support.paths import ROOT

LIBRARY = ROOT / "dedup_lib"
MODULES = sorted(LIBRARY.rglob("*.py"))
PACKAGES = sorted(path.parent for path in MODULES if path.name == "__init__.py")
# A format's own folder, and the data that settings are checked by.
SEAMS = ("delta/", "iceberg/", "parquet/", "settings/traits.py")
NAMES = {"parquet", "delta", "iceberg", "rewrite", "clone", "in-place", "since-last-run"}
ATTRIBUTES = {"format", "method", "images_format", "output_format", "resolved_output_format"}


def comparisons(text: str) -> list[str]:
    """Find what tells a format or a method by its name: comparisons, and names such as is_delta."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare):
            sides = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
            values = {side.value for side in sides if isinstance(side, ast.Constant)}
            attributes = {side.attr for side in sides if isinstance(side, ast.Attribute)}
            if NAMES & {str(value) for value in values} or ATTRIBUTES & attributes:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Name | ast.arg):
            name = node.id if isinstance(node, ast.Name) else node.arg
            if name.removeprefix("is_").removesuffix("_path") in {
                "delta",
                "iceberg",
                "parquet",
                "clone",
            }:
                found.append(name)
    return found


@pytest.mark.parametrize(
    "text",
    ["images.format == 'delta'", "if is_delta: pass", "x != 'in-place'", "a.method in ('b', 'c')"],
)
def test_what_is_looked_for_is_found(text):
    assert comparisons(text)


def test_formats_and_methods_are_told_by_their_names_on_the_seams_alone():
    found = {
        str(path.relative_to(LIBRARY)): names
        for path in MODULES
        if not str(path.relative_to(LIBRARY)).startswith(SEAMS)
        and (names := comparisons(path.read_text()))
    }
    # Pillow's formats, and what Pillow calls them.
    assert {name for name in found if name != "executor/thumbnails.py"} == set(), found


def test_no_file_is_long():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: count for path, count in lines.items() if count > 300} == {}


def test_no_package_is_crowded_and_few_modules_are_outside_of_one():
    counts = {str(path.relative_to(ROOT)): len(list(path.glob("*.py"))) - 1 for path in PACKAGES}
    assert max(counts.values()) <= 20, counts
    assert counts["dedup_lib"] <= 12, counts


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_each_package_says_its_purpose_in_one_line(package):
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    assert text is not None
    assert package == LIBRARY or len(text.splitlines()) == 1
