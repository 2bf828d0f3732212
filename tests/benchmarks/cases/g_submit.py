"""G: one spark-submit, from its start to its end: what people wait for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyspark

from tests.benchmarks import tables
from tests.benchmarks.bench import Bench, turns
from tests.benchmarks.contenders import Contender
from tests.benchmarks.data import Made, Workload
from tests.benchmarks.programs import timed
from tests.benchmarks.results import Run, Runs
from tests.support.paths import ROOT

TITLE = __doc__
# An older checkout in which `make setup` was run, to be timed beside this one.
BEFORE = os.environ.get("BEFORE")
WORKLOADS = {
    "full": {
        "0.6 GB": Workload(15_000, 42_000, files=16),
        "2.6 GB": Workload(60_000, 43_000, files=48),
        "16 files": Workload(120_000, 2_000, files=16),
        "3,000 files": Workload(120_000, 2_000, files=3_000),
    },
    "small": {"tiny": Workload(1_000, 1_000, files=4)},
}
INSTALLED = Path(pyspark.__file__).parent
PREPARED = Path(sys.prefix)


@dataclass(frozen=True)
class Submitted:
    """A spark-submit.

    Attributes:
        name: As printed.
        home: What holds bin/spark-submit.
        properties: The properties file; empty for Spark's defaults.
        job: The program, which takes the flags of this job; empty for plain Spark.
    """

    name: str
    home: Path
    properties: Path | None
    job: Path | None = ROOT / "jobs/remove_duplicates.py"

    def command(self, made: Made, output: Path) -> list[str]:
        chosen = [] if self.properties is None else ["--properties-file", str(self.properties)]
        flags = [made.images, made.duplicate_ids, output]
        if self.job is None:
            job = [ROOT / "tests/benchmarks/peers/submitted_left_anti.py", *flags]
        else:
            names = ("--images", "--duplicate-ids", "--output")
            job = [self.job, *(word for pair in zip(names, flags, strict=True) for word in pair)]
        submit = self.home / "bin/spark-submit"
        # With Spark's own 1 GB plain Spark can't read 2.6 GB: "Cannot reserve … contiguous bytes".
        heap = ["--driver-memory", "2g"]
        return [str(submit), "--master", "local[2]", *heap, *chosen, *map(str, job)]

    def environment(self) -> dict[str, str]:
        """What is prepared in this environment is for its own spark-submit alone."""
        own = ("SPARK_", "PYSPARK_")
        values = {key: value for key, value in os.environ.items() if not key.startswith(own)}
        if self.home == INSTALLED:
            values |= {"SPARK_HOME": str(INSTALLED), "PYSPARK_PYTHON": sys.executable}
        return values


CONF = ROOT / "conf/spark"
PLAIN = Submitted("plain Spark as installed, its defaults, 2 GB", INSTALLED, None, job=None)
CONTENDERS = [
    PLAIN,
    Submitted("plain Spark, local.conf", PREPARED, CONF / "local.conf", job=None),
    Submitted("this job, local.conf", PREPARED, CONF / "local.conf"),
    Submitted("this job, cpu.conf", PREPARED, CONF / "cpu.conf"),
    Submitted("this job, cpu.conf, Spark as installed", INSTALLED, CONF / "cpu.conf"),
]
if BEFORE is not None:
    old = Path(BEFORE).absolute()
    job, properties = old / "jobs/remove_duplicates.py", old / "conf/spark/cpu.conf"
    CONTENDERS.append(Submitted("this job before, cpu.conf", old / ".venv", properties, job))


def measure(bench: Bench, size: str) -> None:
    workloads = {name: bench.make(workload) for name, workload in WORKLOADS[size].items()}
    for number in range(bench.rounds):
        for contender, name, made in turns(CONTENDERS, workloads, number):
            workload = made.workload
            run = Run(
                bench.case,
                name,
                contender.name,
                number,
                input_bytes=made.file_bytes,
                files=workload.files,
                image_rows=workload.rows,
                list_rows=workload.entries,
            )
            with bench.output() as output:
                command = contender.command(made, output)
                run = timed(run, command, env=contender.environment())
                if run.error is None:
                    as_table = Contender(contender.name, "")
                    run = replace(run, error=bench.fault(name, as_table, made, output))
            bench.note(run)


def report(runs: Runs) -> Iterator[str]:
    for workload in dict.fromkeys(run.workload for run in runs.all):
        reference = runs.of(workload, PLAIN.name)
        yield f"{workload}: the whole process, without a sync"
        yield tables.markdown(
            ("contender", "s", f"x {PLAIN.name}", "s of CPU", "ms per file"),
            (
                [
                    name,
                    tables.spread(run.wall_seconds for run in found),
                    tables.spread(tables.ratios(found, reference)),
                    tables.spread(run.cpu_seconds for run in found),
                    tables.spread(run.wall_seconds / run.files * 1e3 for run in found),
                ]
                for name in runs.contenders(workload)
                if (found := runs.of(workload, name))
            ),
        )
