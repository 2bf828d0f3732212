"""Start the job of conf/databricks each night, and wait for it.

Put this file into the DAGs folder. Leave the job's own schedule paused; its retries stay.
"""

from datetime import UTC, datetime, timedelta

from airflow.exceptions import AirflowException
from airflow.providers.databricks.operators.databricks import DatabricksRunNowOperator
from airflow.sdk import DAG, Context, ExceptionRetryPolicy, Param, RetryAction, RetryRule

CONNECTION = "databricks_default"
# If Databricks can't be reached, the provider raises a subclass of its own.
FAILED_RUN = RetryRule(
    exception=AirflowException,
    match_subclasses=False,
    action=RetryAction.FAIL,
    reason="the run failed, after the retries of the job itself",
)


def job_parameters(context: Context, **_: object) -> dict[str, str]:
    """Return the parameters that differ from the job's defaults. A DAG run is one run key."""
    params = context["params"]
    return {
        "images": params["images"],
        "image_id_column": params["image_id_column"],
        "duplicate_ids": params["duplicate_ids"],
        "output": params["output"],
        "output_mode": params["output_mode"],
        "max_removed_fraction": str(params["max_removed_fraction"]),
        "run_key": f"{context['dag'].dag_id}/{context['run_id']}",
        **params["extra_parameters"],
    }


with DAG(
    dag_id="remove_duplicates_databricks",
    description="Write the images that no removal list names to a new table.",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "job_name": Param(
            "remove-duplicates", type="string", description="The name of the deployed job."
        ),
        "images": Param("main.images.raw", type="string", description="The image table."),
        "image_id_column": Param("image_id", type="string"),
        "duplicate_ids": Param("/Volumes/main/images/dedup/lists", type="string"),
        "output": Param("main.images.unique", type="string"),
        "output_mode": Param("overwrite", enum=["error", "overwrite"]),
        "max_removed_fraction": Param(0.9, type="number", minimum=0, maximum=1),
        "extra_parameters": Param(
            {}, type="object", description="Other parameters of the job, such as config."
        ),
    },
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "retry_policy": ExceptionRetryPolicy(rules=[FAILED_RUN]),
        "execution_timeout": timedelta(hours=24),
    },
    tags=["images"],
) as dag:
    DatabricksRunNowOperator(
        task_id="remove_duplicates",
        databricks_conn_id=CONNECTION,
        job_name="{{ params.job_name }}",
        job_parameters=job_parameters,
        # One token for each try: a repeated request does not start a second run of the job.
        idempotency_token="{{ ti.id }}",  # noqa: S106  # it is not a password
    )
