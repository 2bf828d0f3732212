"""What a user can set: one frozen dataclass, filled from flags and from TOML."""

from __future__ import annotations

from dataclasses import dataclass

from dedup_lib.errors import SettingsError
from dedup_lib.settings import traits, values
from dedup_lib.settings.contradictions import check_combination
from dedup_lib.settings.fields import check_fields, option
from dedup_lib.settings.list_settings import ListSettings


@dataclass(frozen=True, kw_only=True)
class Settings(ListSettings):
    """All settings of a run; each is a flag (with dashes) and a TOML key (as spelled here).

    Raises:
        SettingsError: A value has a wrong type, is out of range, or contradicts another.
    """

    images: str = option("input", "image table: a path or URI, or a catalog table name")
    images_format: values.ImagesFormat = option(
        "input",
        "format of the image table; auto: Delta if there is a _delta_log, or as the catalog says; "
        "WebDataset if there are tar files",
        default="auto",
        choices=traits.image_formats,
    )
    image_id_column: str = option(
        "input", "column of the image table that holds the image IDs", default="image_id"
    )
    image_id_from: str = option(
        "input",
        "WebDataset shards: where the image IDs are: key: a sample's key; json:FIELD: a field of "
        "its .json member; parquet:FIELD: a column of the metadata file, which img2dataset writes "
        "beside the shard as Parquet; curator: NeMo Curator's numbers, with as many shards a task "
        "as the lists say; curator:N: with N shards a task",
        default="key",
        metavar="SOURCE",
    )
    output: str | None = option(
        "output",
        "location of the deduplicated table; required, except with --dry-run; not with --method "
        "in-place",
    )
    output_format: values.TableFormat | None = option(
        "output",
        "format of the output (default: delta for a table name or a clone, else parquet)",
        choices=traits.output_formats,
    )
    output_mode: values.OutputMode = option(
        "output", "what to do if the output exists", default="error"
    )
    action: values.Action = option(
        "output",
        "what is written: remove: the rows that stay; annotate: all rows, with the columns "
        "is_duplicate and kept_image_id added (in shards a member with both in each sample); "
        "extract: only the duplicates",
        default="remove",
    )
    removed_output: str | None = option(
        "output",
        "keep the removal plan as a table: Parquet at a path, Delta for a table name; "
        "--output-mode applies",
    )
    unmatched_output: str | None = option(
        "output",
        "keep the listed IDs that are not in the image table, as a table with the columns "
        "image_id, list_location and list_kind; format and --output-mode as for --removed-output",
    )
    since_last_run: bool = option(
        "output",
        "Delta or Iceberg output: process only the changes since the last such run: append new "
        "images, delete newly listed ones; the first run, or --output-mode overwrite, does all",
        default=False,
    )
    report: str | None = option(
        "output",
        "write the report as JSON, also if the run fails: without a scheme a file on the driver, "
        "else through Hadoop's file system; an older report is replaced",
    )
    review: str | None = option(
        "output",
        "write a page that shows the plan before anything is removed: one HTML file with figures "
        "and pairs of pictures, those with the lowest scores and a fifth at random; a location as "
        "for --report; an older page is replaced; needs Jinja2 and Pillow",
    )
    review_samples: int = option(
        "output",
        "--review: how many of the removed images are shown",
        default=200,
        metavar="N",
    )
    metrics_output: str | None = option(
        "output",
        "append the run's numbers as a row to a table, also if the run fails: Delta for a table "
        "name, or if there is a Delta table at the path, else Parquet; if that is not possible, "
        "the run goes on",
    )
    lineage_config: str | None = option(
        "output",
        "send the run to OpenLineage: a configuration file of its client, in YAML, on the driver",
        metavar="FILE.yml",
    )
    purge: bool = option(
        "output",
        "clone and in-place: rewrite the files that lost rows, so that no data file of the table "
        "holds removed rows; you delete the old files by running VACUUM",
        default=False,
    )
    dry_run: bool = option(
        "safety",
        "only plan and check: no image is written; --report, --review, --metrics-output, "
        "--removed-output and --unmatched-output are written",
        default=False,
    )
    max_removed_fraction: float = option(
        "safety",
        "stop if the run would remove a larger share of the rows",
        default=0.9,
        metavar="FRACTION",
    )
    allow_no_matches: bool = option(
        "safety", "go on if no listed ID is in the image table", default=False
    )
    allow_empty_list: bool = option(
        "safety", "go on if the removal lists hold no ID", default=False
    )
    on_lost_keeper: values.OnLostKeeper = option(
        "safety",
        "if all keepers of an image would be removed: stop (error), keep the best of the cluster "
        "(keep-one), or remove all (ignore)",
        default="error",
    )
    run_key: str | None = option(
        "safety",
        "a name for this run: a run with the same key is not applied twice",
        metavar="KEY",
    )
    enable_deletion_vectors: bool = option(
        "safety",
        "in-place: switch on the table's deletion vectors if they are off; this raises the table's "
        "protocol, so that old readers can't read it any more",
        default=False,
    )
    method: values.Method = option(
        "tuning",
        "how rows are removed: rewrite: new files hold the kept rows; clone: a Delta clone shares "
        "the files and hides the removed rows; in-place: the Delta image table itself hides them",
        default="rewrite",
        choices=traits.method_names,
    )
    engine: values.Engine = option(
        "tuning",
        "what moves the bytes in a rewrite: arrow (from Parquet or shards to either, and from "
        "shards to Delta, file by file, by pyarrow on the executors) or spark; auto: arrow if it "
        "can run, but spark for an output in an object store, with --strategy or "
        "--target-file-size, or if a GPU can do it; shards always use arrow",
        default="auto",
    )
    strategy: values.Strategy = option(
        "tuning", "how the spark engine finds the rows; auto chooses by size", default="auto"
    )
    target_file_size: str | None = option(
        "tuning",
        "size of the output files of the spark engine, such as 512MB (default: 256MB, less if "
        "there would be fewer files than cores); arrow keeps the files of the input",
        metavar="SIZE",
    )
    shard_size: str | None = option(
        "tuning",
        "tables to WebDataset shards: about the size of a shard, such as 500MB (default: 1GB, or "
        "less with 10000 samples; with --samples-per-shard no limit)",
        metavar="SIZE",
    )
    samples_per_shard: int | None = option(
        "tuning",
        "tables to WebDataset shards: the most samples in a shard (default: 10000; with "
        "--shard-size no limit)",
        metavar="N",
    )
    list_counts: values.ListCounts = option(
        "tuning",
        "distinct and unmatched counts of the list: exact costs a pass over it; "
        "auto: exact up to 5 million entries",
        default="auto",
    )
    require_gpu: bool = option(
        "tuning",
        "rewrites: if the RAPIDS Accelerator can't run everything on the GPU, stop (exit code 2) "
        "and say what would run on the CPU and why; a dry run also accepts its explain-only "
        "mode, which needs no GPU",
        default=False,
    )
    storage_option: tuple[str, ...] = option(
        "tuning",
        "arrow engine: an argument of pyarrow's file system for the store of the images, such as "
        "region=eu-west-1; may be repeated",
        default=(),
        metavar="KEY=VALUE",
        is_secret=True,
    )
    work_location: str | None = option(
        "tuning",
        "location of the plan and staged files (default: a hidden directory beside the output; in "
        "place, beside the image table)",
    )
    log_level: values.LogLevel = option(
        "tuning", "how much the command line logs to stderr", default="INFO"
    )

    def __post_init__(self) -> None:
        if self.images is None:
            raise SettingsError("no image table given: --images is required.")
        check_fields(Settings, vars(self))
        values.check_values(self)
        check_combination(self)
        values.check_locations(self)

    @property
    def resolved_output_format(self) -> values.TableFormat:
        """The format of the output: the named one, or the default of the method or the location."""
        of_method = traits.find_method(self.method).output_format
        return self.output_format or of_method or traits.choose_format(self.output)

    @property
    def method_traits(self) -> traits.MethodTraits:
        """The traits of the method."""
        return traits.find_method(self.method)

    @property
    def changes_images(self) -> bool:
        """Whether rows are deleted from the image table itself."""
        return not self.method_traits.takes_output

    @property
    def record_locations(self) -> dict[str, str]:
        """The locations of the tables that the run keeps beside its output, by setting name."""
        named = {name: getattr(self, name) for name in ("removed_output", "unmatched_output")}
        return {name: location for name, location in named.items() if location is not None}

    @property
    def target_file_bytes(self) -> int | None:
        """The target file size in bytes."""
        size = self.target_file_size
        return None if size is None else values.parse_file_size("--target-file-size", size)

    @property
    def shard_bytes(self) -> int | None:
        """The size of a shard in bytes."""
        size = self.shard_size
        return None if size is None else values.parse_file_size("--shard-size", size)

    @property
    def storage_options(self) -> dict[str, str]:
        """The storage options by key."""
        return values.parse_storage_options(self.storage_option)
