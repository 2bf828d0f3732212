"""What each table format and each method can do, as data for the checks of settings."""

from __future__ import annotations

from dataclasses import dataclass

from dedup_lib.locations import is_path

_FORMAT_OF_PATHS = "parquet"
_FORMAT_OF_NAMES = "delta"


@dataclass(frozen=True, kw_only=True)
class FormatTraits:
    """What a table format can do.

    Attributes:
        name: The name in --images-format and --output-format.
        title: The name in messages.
        methods: The methods that can make or change a table of this format.
        engines: The engines that can write it in a rewrite.
        has_parquet_files: Whether its rows are in Parquet files.
        takes_names: Whether a table of a catalog can have this format.
        takes_paths: Whether a table at a path can be written in this format.
        has_plain_files: Whether only the files of a directory show that a table has this format.
        has_shards: Whether its files are shards, whose size a user can choose. Spark can't read
            them.
        takes_commits: Whether commits can add and delete rows.
        can_follow_last_run: Whether --since-last-run can update an output of this format.
    """

    name: str
    title: str
    methods: frozenset[str]
    engines: frozenset[str]
    has_parquet_files: bool = False
    takes_names: bool = False
    takes_paths: bool = True
    takes_commits: bool = False
    can_follow_last_run: bool = False
    has_plain_files: bool = False
    has_shards: bool = False


@dataclass(frozen=True, kw_only=True)
class MethodTraits:
    """What a method can do.

    Attributes:
        name: The name in --method.
        actions: The values of --action that it supports.
        output_format: The format of its result if the user names no format; None if the output
            decides.
        takes_output: Whether it makes a new table, and so needs --output.
        can_replace: Whether its output can replace a table.
        moves_images: Whether it reads and writes images, by an engine.
        can_purge: Whether it leaves removed rows in data files, which --purge takes out.
        can_enable_deletion_vectors: Whether it can switch on deletion vectors of the image table.
        can_follow_last_run: Whether it can process only the changes since the last run.
    """

    name: str
    actions: frozenset[str] = frozenset({"remove"})
    output_format: str | None = None
    takes_output: bool = True
    can_replace: bool = False
    moves_images: bool = False
    can_purge: bool = False
    can_enable_deletion_vectors: bool = False
    can_follow_last_run: bool = False


def find_format(name: str) -> FormatTraits:
    """Return the traits of a registered format.

    Raises:
        KeyError: No format has that name.
    """
    return _formats[name]


def find_method(name: str) -> MethodTraits:
    """Return the traits of a method.

    Raises:
        KeyError: No method has that name.
    """
    return _methods[name]


def all_formats() -> tuple[FormatTraits, ...]:
    """Return all registered formats, in the order in which they were registered."""
    return tuple(_formats.values())


def all_methods() -> tuple[MethodTraits, ...]:
    """Return all methods, in the order of --help."""
    return tuple(_methods.values())


def register_format(traits: FormatTraits) -> None:
    """Register a table format, so that settings, `--help` and messages offer it.

    Raises:
        ValueError: Another format has this name.
    """
    if traits.name == "auto" or _formats.get(traits.name, traits) != traits:
        raise ValueError(f"format {traits.name!r} is registered already, with other traits.")
    _formats[traits.name] = traits


def image_formats() -> tuple[str, ...]:
    """Return the choices of --images-format."""
    return ("auto", *_formats)


def output_formats() -> tuple[str, ...]:
    """Return the choices of --output-format: the formats in which a method can make a table."""
    makers = {method.name for method in all_methods() if method.takes_output}
    return tuple(item.name for item in all_formats() if item.methods & makers)


def method_names() -> tuple[str, ...]:
    """Return the choices of --method."""
    return tuple(_methods)


def choose_format(location: str | None) -> str:
    """Return the format of a table that is written to a location if no format is named.

    Args:
        location: A path, a URI or a catalog table name; None counts as a path.
    """
    return _FORMAT_OF_PATHS if location is None or is_path(location) else _FORMAT_OF_NAMES


_methods = {
    method.name: method
    for method in (
        MethodTraits(
            name="rewrite",
            actions=frozenset({"remove", "annotate", "extract"}),
            can_replace=True,
            moves_images=True,
            can_follow_last_run=True,
        ),
        MethodTraits(name="clone", output_format="delta", can_purge=True),
        MethodTraits(
            name="in-place",
            output_format="delta",
            takes_output=False,
            can_purge=True,
            can_enable_deletion_vectors=True,
        ),
    )
}
_formats = {
    item.name: item
    for item in (
        FormatTraits(
            name="parquet",
            title="Parquet",
            methods=frozenset({"rewrite"}),
            engines=frozenset({"arrow", "spark"}),
            has_parquet_files=True,
        ),
        FormatTraits(
            name="delta",
            title="Delta",
            methods=frozenset({"rewrite", "clone", "in-place"}),
            engines=frozenset({"spark"}),
            has_parquet_files=True,
            takes_names=True,
            takes_commits=True,
            can_follow_last_run=True,
        ),
        FormatTraits(
            name="iceberg",
            title="Iceberg",
            methods=frozenset({"rewrite", "clone", "in-place"}),
            engines=frozenset({"spark"}),
            takes_names=True,
            takes_paths=False,
            takes_commits=True,
            can_follow_last_run=True,
        ),
        FormatTraits(
            name="webdataset",
            title="WebDataset",
            methods=frozenset({"rewrite"}),
            engines=frozenset({"arrow"}),
            has_plain_files=True,
            has_shards=True,
        ),
    )
}
