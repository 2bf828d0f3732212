"""OpenLineage: a run sends events about the tables that it reads and writes.

Spark's listener can't do this. It sees neither the work of the `arrow` engine and of Delta's
commands, nor the final location of a staged table.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dedup_lib.errors import SettingsError, StorageError, UnsupportedError
from dedup_lib.locations import get_scheme, is_path, local_path
from dedup_lib.redaction import redact
from dedup_lib.report import Report
from dedup_lib.settings import Settings
from dedup_lib.version import __version__

_PRODUCER = f"pkg:pypi/dedup-lib@{__version__}"
_NAMES = {"s3a": "s3", "s3n": "s3"}
_log = logging.getLogger(__name__)


@contextmanager
def emit_lineage(
    settings: Settings, report: Report, canonical: Callable[[str], str]
) -> Iterator[None]:
    """Send events about the run in the `with` block, if --lineage-config asks for them.

    Args:
        settings: The settings of the run.
        report: The report of the run. At the end it has the tables that were read and written.
        canonical: Turns a location into an absolute URI.

    Raises:
        SettingsError: The configuration can't be read.
        UnsupportedError: OpenLineage's client is not installed.
    """
    if settings.lineage_config is None:
        yield
        return
    events = _Events(settings, report, canonical)
    events.emit("START")
    try:
        yield
    except BaseException as error:
        events.emit("FAIL", error)
        raise
    events.emit("COMPLETE")


def dataset_name(location: str, namespace: str) -> tuple[str, str]:
    """Return OpenLineage's namespace and name for a canonical location.

    A catalog table gets the namespace of the job.
    """
    if not is_path(location):
        return namespace, location
    scheme = get_scheme(location)
    if scheme == "file":
        return "file", local_path(location)
    authority, slash, path = location.partition("://")[2].partition("/")
    store = f"{_NAMES.get(scheme, scheme)}://{authority}"
    return store, slash + path if scheme == "hdfs" else path or "/"


class _Events:
    """The events of one run."""

    def __init__(self, settings: Settings, report: Report, canonical: Callable[[str], str]) -> None:
        self._client, job = _client_and_job(str(settings.lineage_config))
        self._namespace = str(job.get("namespace", "default"))
        self._name = str(job.get("name", "remove-duplicates"))
        self._settings, self._report, self._canonical = settings, report, canonical
        self._run_id = _new_run_id()

    def emit(self, state: str, error: BaseException | None = None) -> None:
        """Send an event. A failure to send does not stop the run."""
        try:
            self._client.emit(self._event(state, error))
        except Exception as failure:  # each transport raises different errors
            _log.warning("OpenLineage's event %s could not be sent: %s", state, failure)

    def _event(self, state: str, error: BaseException | None) -> Any:
        from openlineage.client import event_v2 as events
        from openlineage.client import facet_v2 as facets

        kind = facets.job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="SPARK", jobType="JOB"
        )
        of_run = {}
        if error is not None:
            of_run["errorMessage"] = facets.error_message_run.ErrorMessageRunFacet(
                message=self._report.hide(f"{type(error).__name__}: {error}")[:4000],
                programmingLanguage="PYTHON",
            )
        return events.RunEvent(
            eventType=events.RunState[state],
            eventTime=datetime.now(UTC).isoformat(),
            run=events.Run(runId=self._run_id, facets=of_run),
            job=events.Job(self._namespace, self._name, facets={"jobType": kind}),
            inputs=[events.InputDataset(**self._dataset(given)) for given in self._inputs()],
            outputs=[events.OutputDataset(**self._dataset(made)) for made in self._outputs()],
            producer=_PRODUCER,
        )

    def _inputs(self) -> Sequence[Mapping[str, Any]]:
        inputs = self._report.inputs
        plan = [inputs["plan"]] if "plan" in inputs else []
        return [inputs["images"], *inputs["duplicate_ids"], *inputs["protect_ids"], *plan]

    def _outputs(self) -> Sequence[Mapping[str, Any]]:
        """Return the output and the tables that the run keeps beside it."""
        records = self._settings.record_locations.values()
        output = self._report.output
        is_made = output is not None and not self._settings.dry_run
        return [*([output] if is_made and output else []), *({"location": it} for it in records)]

    def _dataset(self, table: Mapping[str, Any]) -> dict[str, Any]:
        from openlineage.client import facet_v2 as facets

        location = table["location"]
        if is_path(location):
            # The run itself will report an unreachable location.
            with contextlib.suppress(StorageError, UnsupportedError):
                location = self._canonical(location)
        namespace, name = dataset_name(redact(location), self._namespace)
        found: dict[str, Any] = {"namespace": namespace, "name": name, "facets": {}}
        if table.get("version") is not None:
            found["facets"]["version"] = facets.dataset_version_dataset.DatasetVersionDatasetFacet(
                datasetVersion=str(table["version"])
            )
        if table.get("num_rows") is not None:
            statistics = facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=table["num_rows"], size=self._report.bytes["output"]
            )
            found["outputFacets"] = {"outputStatistics": statistics}
        return found


def _client_and_job(path: str) -> tuple[Any, Mapping[str, Any]]:
    try:
        import yaml
        from openlineage.client import OpenLineageClient
    except ImportError as error:
        raise UnsupportedError(
            "--lineage-config needs OpenLineage's client, which is not installed where the job "
            "starts: pip install openlineage-python."
        ) from error
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        if not isinstance(values, dict) or "transport" not in values:
            raise SettingsError(
                f"--lineage-config {path!r} has no transport: it must be a configuration of "
                "OpenLineage's client, in YAML."
            )
        return OpenLineageClient(config=values), values.get("job") or {}
    except (OSError, ValueError, TypeError, RuntimeError, ImportError, yaml.YAMLError) as error:
        raise SettingsError(f"--lineage-config {path!r} can't be used: {error}.") from error


def _new_run_id() -> str:
    from openlineage.client.uuid import generate_new_uuid

    return str(generate_new_uuid())
