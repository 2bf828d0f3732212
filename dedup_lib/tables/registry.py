"""The registry of table formats, and the search for the format of a table."""

from __future__ import annotations

import dataclasses

from dedup_lib.errors import SettingsError, TableFormatError, TableNotFoundError
from dedup_lib.locations import is_path
from dedup_lib.session.session import Session
from dedup_lib.session.storage import Storage
from dedup_lib.settings import Settings, register_format
from dedup_lib.settings.traits import find_format
from dedup_lib.tables.format import TableFormat

_FORMATS: dict[str, TableFormat] = {}


def register(table_format: TableFormat) -> None:
    """Make a format known.

    The search for the format of a table tries the formats in reverse order of registration. The
    first registered format, of plain files, is the default if no other format matches.
    """
    register_format(table_format.traits)
    _FORMATS[table_format.name] = table_format


def format_named(name: str) -> TableFormat:
    """Return a format by its name."""
    return _FORMATS[name]


def format_at(session: Session, location: str) -> TableFormat:
    """Return the format of the table at a canonical path; Parquet if no other format matches."""
    return next(one for one in reversed(_FORMATS.values()) if one.is_at(session, location))


def format_of_name(session: Session, name: str) -> TableFormat:
    """Return the format of the table that the catalog has under a name.

    If the catalog has no such table, return the format that a new table of that name would have.
    """
    taking = [one for one in _FORMATS.values() if one.traits.takes_names]
    if len(taking) == 1:
        return taking[0]
    return next((one for one in reversed(taking) if one.has_named(session, name)), taking[0])


def format_of(session: Session, location: str) -> TableFormat:
    """Return the format of the table at a path, or of the table with a catalog name."""
    if is_path(location):
        return format_at(session, session.storage.canonical(location))
    return format_of_name(session, location)


def with_output_format(session: Session, settings: Settings) -> Settings:
    """Return the settings with the format of a named output, which only its catalog knows."""
    output = settings.output
    if output is None or is_path(output) or settings.output_format:
        return settings
    found = format_of_name(session, output).name
    takes_it = find_format(found).methods.issuperset([settings.method])
    return dataclasses.replace(settings, output_format=found) if takes_it else settings


def format_of_record(session: Session, location: str) -> TableFormat:
    """Return the format for a run's records: plain files at a path, or the format of a name."""
    return _plain() if is_path(location) else format_of_name(session, location)


def formats() -> list[TableFormat]:
    """Return all formats, in the order in which they were registered."""
    return list(_FORMATS.values())


def _plain() -> TableFormat:
    return next(iter(_FORMATS.values()))


def check_exists(storage: Storage, location: str, what: str) -> None:
    """Check that there is something at a path.

    Raises:
        TableNotFoundError: There is nothing.
    """
    if not storage.exists(location):
        raise TableNotFoundError(f"{what} does not exist (patterns such as * are not expanded).")


def format_asked_for(session: Session, location: str, asked: str) -> TableFormat:
    """Return the format of an image table, and check that it is the format that the user asked for.

    Raises:
        TableNotFoundError: There is nothing at the path.
        TableFormatError: The table has another format.
        SettingsError: A catalog table can't have this format.
    """
    if not is_path(location):
        if asked != "auto" and not format_named(asked).traits.takes_names:
            raise SettingsError(
                f"--images {location!r} is a table name, which can't be --images-format {asked}: "
                "give a path with a slash, or leave the format out."
            )
        return format_of_name(session, location)
    check_exists(session.storage, location, f"image table {location!r}")
    found = format_at(session, location)
    if asked in ("auto", found.name):
        return found
    wanted = format_named(asked)
    if found is _plain() and wanted.traits.has_plain_files:  # their files show it
        return wanted
    if wanted.sign:
        raise TableFormatError(
            f"image table {location!r} is not a {wanted.title} table: it has no {wanted.sign}."
        )
    raise found.wrong_format(wanted, location)
