"""Choose the method that applies a run's plan."""

from __future__ import annotations

from dedup_lib.errors import UnsupportedError
from dedup_lib.methods.method import DryRun, Method
from dedup_lib.methods.rewrite import Rewrite
from dedup_lib.methods.run_context import RunContext
from dedup_lib.tables import registry
from dedup_lib.tables.image_table import ImageTable
from dedup_lib.tables.target import Target


def choose_method(run: RunContext, images: ImageTable, output: Target | None) -> Method:
    """Return the method that the settings ask for, as the table's format implements it.

    Raises:
        UnsupportedError: The format does not offer the method.
    """
    method = _method_class(run, images, output)(run, images, output)
    return DryRun(method) if run.settings.dry_run else method


def _method_class(run: RunContext, images: ImageTable, output: Target | None) -> type[Method]:
    settings = run.settings
    name: str = settings.method
    if settings.since_last_run and output is not None:
        name = "since-last-run"
    if name == Rewrite.name:
        return Rewrite
    table_format = images.table_format
    if not settings.changes_images:
        table_format = registry.format_named(settings.resolved_output_format)
    offered: type[Method] | None = table_format.methods.get(name)
    if offered is None:
        titles = " or ".join(one.title for one in registry.formats() if name in one.methods)
        raise UnsupportedError(
            f"image table {images.location!r} is {table_format.title}: --method {name} needs a "
            f"{titles} table. Use --method clone, or rewrite."
        )
    return offered
