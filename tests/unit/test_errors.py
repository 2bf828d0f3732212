"""The error tree, and the exit code of each error."""

import re

import pytest

from dedup_lib import errors
from dedup_lib.errors import DedupError, MissingColumnError, suggest

_LINE = re.compile(r"^(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>\w+Error)(?: +(?P<code>\d)  .*)?$")


def drawn_tree():
    """Each class in the docstring's drawing: name -> (parent, exit code)."""
    tree, path = {}, []
    for line in errors.__doc__.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        depth = len(found["indent"]) // 4 + ("── " in line)
        path = [*path[:depth], found["name"]]
        parent = path[-2] if depth else None
        inherited = tree[parent][1] if parent else None
        tree[found["name"]] = (parent, int(found["code"]) if found["code"] else inherited)
    return tree


def real_tree(root=DedupError, parent=None):
    tree = {root.__name__: (parent, root.exit_code)}
    for child in root.__subclasses__():
        tree |= real_tree(child, root.__name__)
    return tree


def test_the_drawn_tree_is_the_real_one():
    assert drawn_tree() == real_tree()


def test_every_error_class_of_the_module_is_in_the_tree():
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert defined == set(real_tree())


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("DedupError", 1),
        ("StorageError", 1),
        ("UsageError", 2),
        ("OverlapError", 2),
        ("UnsupportedError", 2),
        ("JavaMissingError", 2),
        ("InputError", 3),
        ("NoImageRowsError", 3),
        ("SafetyLimitError", 4),
        ("EmptyListError", 4),
        ("NoMatchesError", 4),
        ("RemovedFractionError", 4),
        ("PublishError", 5),
        ("OutputExistsError", 5),
        ("ConflictError", 5),
        ("VerificationError", 5),
    ],
)
def test_exit_codes_are_the_contracts(name, code):
    assert getattr(errors, name).exit_code == code


def test_a_missing_column_says_what_there_is_and_how_to_mend_it():
    error = MissingColumnError.of("removal list 'x'", "id", ["ID", "cluster"], "--some-flag")
    assert str(error) == (
        "removal list 'x' has no column 'id' (columns: 'ID', 'cluster'). "
        "Did you mean 'ID'? Use --some-flag."
    )


def test_only_a_column_that_fits_is_suggested():
    error = MissingColumnError.of("t", "id", ["idx", "uid"], "--f", candidates=["uid"])
    assert (
        str(error) == "t has no column 'id' (columns: 'idx', 'uid'). Did you mean 'uid'? Use --f."
    )


def test_a_missing_column_shows_at_most_twenty_others():
    columns = [f"column_{number}" for number in range(25)]
    text = str(MissingColumnError.of("t", "zzz", columns, "--f"))
    assert "'column_19' and 5 more)." in text
    assert "column_20" not in text


@pytest.mark.parametrize(
    ("word", "words", "hint"),
    [
        ("image_ids", ["image_id", "width"], " Did you mean 'image_id'?"),
        ("IMAGE_ID", ["width", "image_id"], " Did you mean 'image_id'?"),
        ("xyz", ["image_id"], ""),
        ("id", [], ""),
    ],
)
def test_the_nearest_word_is_suggested_when_it_is_near(word, words, hint):
    assert suggest(word, words) == hint
