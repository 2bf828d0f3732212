"""A real Airflow of its own: SQLite, LocalExecutor, and the processes that a task needs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from tests.support.paths import BIN, ROOT

SPARK_BIN = ROOT / ".venv/bin"
PATIENCE_SECONDS = 600
# As in tests/support, for Java and small tables. Spark also takes its settings from Java's.
QUICK_JAVA = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dspark.ui.enabled=false "
    "-Dspark.sql.shuffle.partitions=2 -Dspark.databricks.delta.snapshotPartitions=1"
)

_T = TypeVar("_T")


@dataclass(frozen=True)
class Airflow:
    """Airflow as its REST API shows it."""

    api: httpx.Client

    def trigger(self, dag: str, run: str, **params: Any) -> None:
        body = {"dag_run_id": run, "logical_date": None, "conf": params}
        self.ask("POST", f"/dags/{dag}/dagRuns", body)

    def clear(self, dag: str, run: str, task: str) -> None:
        body = {"dag_run_id": run, "task_ids": [task], "dry_run": False, "only_failed": False}
        self.ask("POST", f"/dags/{dag}/clearTaskInstances", body)

    def set_variable(self, key: str, value: str) -> None:
        entity = {"key": key, "value": value}
        action = {"action": "create", "entities": [entity], "action_on_existence": "overwrite"}
        self.ask("PATCH", "/variables", {"actions": [action]})

    def ended_run(self, dag: str, run: str) -> dict[str, Any]:
        """Wait for the end of a run; its tasks by their IDs, and its state."""
        wait_for(lambda: self.state(dag, run) in {"success", "failed"})
        tasks = self.ask("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {"state": self.state(dag, run), **{task["task_id"]: task for task in tasks}}

    def state(self, dag: str, run: str) -> str:
        return self.ask("GET", f"/dags/{dag}/dagRuns/{run}")["state"]

    def log(self, dag: str, run: str, task: str, try_number: int) -> str:
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{try_number}"
        lines = self.ask("GET", path)["content"]
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self.api.request(method, f"/api/v2{path}", json=body)
        assert answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json()


@contextmanager
def running(home: Path, dags: Path, **settings: str) -> Iterator[Airflow]:
    """Start Airflow with a home and a folder of DAGs; no process outlives it."""
    address = f"http://127.0.0.1:{free_port()}"
    environment = os.environ | environment_of(home, dags, address) | settings
    with ExitStack() as ending:
        with start(["db", "migrate"], home, environment) as migration:
            assert migration.wait(PATIENCE_SECONDS) == 0, (home / "db.log").read_text()
        for command in ("api-server", "scheduler --skip-serve-logs", "dag-processor"):
            ending.enter_context(start(command.split(), home, environment))
            ending.callback(end_processes, home)
        api = ending.enter_context(httpx.Client(base_url=address, timeout=60, trust_env=False))
        wait_for(lambda: is_healthy(api))
        token = api.get("/auth/token").raise_for_status().json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        wait_for(lambda: api.get("/api/v2/dags").json()["total_entries"] > 0)
        yield Airflow(api)


def environment_of(home: Path, dags: Path, address: str) -> dict[str, str]:
    """The settings of an Airflow that asks nothing of the network, with a local Spark."""
    settings = {
        "CORE__DAGS_FOLDER": str(dags),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "2",
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "API__BASE_URL": address,
        "API__HOST": "127.0.0.1",
        "API__PORT": address.rpartition(":")[2],
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        **{f"AIRFLOW__{key}": value for key, value in settings.items()},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_SPARK_DEFAULT": '{"conn_type": "spark", "host": "local[2]"}',
        "JAVA_TOOL_OPTIONS": QUICK_JAVA,
        "PATH": f"{SPARK_BIN}:{os.environ['PATH']}",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPT_NOENV": "1",  # processes with titles keep the environment by which they are found
    }


def start(command: list[str], home: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one of Airflow's commands; what it says goes to a file."""
    with (home / f"{command[0]}.log").open("w") as log:
        return subprocess.Popen(
            [BIN / "python", "-m", "airflow", *command],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def is_healthy(api: httpx.Client) -> bool:
    try:
        states = api.get("/api/v2/monitor/health").json()
    except httpx.TransportError:
        return False
    return all(states[name]["status"] == "healthy" for name in ("scheduler", "dag_processor"))


def end_processes(home: Path) -> None:
    """End all that was started with a home, tasks and their Spark included."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        found = processes_of(home)
        for process in found:
            process.send_signal(how)
        psutil.wait_procs(found, timeout=20)


def processes_of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AIRFLOW_HOME") == str(home):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return [process for process in found if process.pid != os.getpid()]


def wait_for(question: Callable[[], _T], seconds: float = PATIENCE_SECONDS) -> _T:
    """Ask until the answer is yes."""
    last = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < last, f"still no after {seconds} s"
        time.sleep(1)
    return answer


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
