"""Remove duplicates each night by spark-submit: a dry run first, then the run.

Put this file into the DAGs folder. Workers need `spark-submit` on their PATH. They need this
repository in /opt/remove-duplicates, or in the folder that the Airflow variable
remove_duplicates_home names.
"""

import re
from datetime import UTC, datetime, timedelta

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Context, Param, RetryDecision, RetryPolicy

CONNECTION = "spark_default"
HOME = "{{ var.value.get('remove_duplicates_home', '/opt/remove-duplicates') }}"


class RetryIfUseful(RetryPolicy):
    """Retry, except failures that end the same way again: usage, input, a safety limit."""

    def evaluate(self, exception: BaseException, *_: object, **__: object) -> RetryDecision:
        code = re.search(r"\bcode is: ([234])\b", str(exception))
        if code is None:
            return RetryDecision.default()
        return RetryDecision.fail(f"exit code {code[1]}: a retry does not help, see the task's log")


def arguments(context: Context, **_: object) -> list[str]:
    """Return the job's flags. All tries of a DAG run have the same run key."""
    params, task, run = context["params"], context["task"].task_id, context["run_id"]
    report = f"{run}.{task}.json".replace(":", "-")  # HDFS allows no colon in a name
    return [
        *(["--dry-run"] if task == "dry_run" else []),
        f"--images={params['images']}",
        f"--image-id-column={params['image_id_column']}",
        *(f"--duplicate-ids={location}" for location in params["duplicate_ids"]),
        f"--output={params['output']}",
        f"--output-mode={params['output_mode']}",
        f"--max-removed-fraction={params['max_removed_fraction']}",
        f"--report={params['reports']}/{report}",
        f"--run-key={context['dag'].dag_id}/{run}",
        *params["extra_arguments"],
    ]


with DAG(
    dag_id="remove_duplicates_spark",
    description="Write the images that no removal list names to a new table.",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "images": Param("/data/images", type="string", description="The image table."),
        "image_id_column": Param("image_id", type="string"),
        "duplicate_ids": Param(
            ["/data/duplicates"],
            type="array",
            items={"type": "string"},
            minItems=1,
            description="Removal lists.",
        ),
        "output": Param("/data/unique", type="string"),
        "output_mode": Param("overwrite", enum=["error", "overwrite"]),
        "max_removed_fraction": Param(0.9, type="number", minimum=0, maximum=1),
        "reports": Param("/data/reports", type="string", description="The directory for reports."),
        "extra_arguments": Param(
            [],
            type="array",
            items={"type": "string"},
            description="More flags, such as --output-format=delta; they win over the others.",
        ),
    },
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=11),  # the lock of a killed run expires after ten
        "retry_policy": RetryIfUseful(),
        "execution_timeout": timedelta(hours=6),
    },
    tags=["images"],
) as dag:
    dry_run, remove_duplicates = (
        SparkSubmitOperator(
            task_id=task,
            conn_id=CONNECTION,
            name=f"remove-duplicates {task}",
            application=f"{HOME}/jobs/remove_duplicates.py",
            properties_file=f"{HOME}/conf/spark/cpu.conf",
            conf={"spark.log.level": "WARN"},  # the task's log shows the job's log and report
            application_args=arguments,
        )
        for task in ("dry_run", "remove_duplicates")
    )
    dry_run >> remove_duplicates
