"""Prepare a pip-installed Spark: `make setup` runs this in the virtual environment.

    python conf/spark/prepare_spark.py [JARS.sha256]

It puts the jars of Delta and Iceberg into Spark's folder. It also makes a second Spark home of
links, `quick-spark`, from which bin/spark-submit and remove-duplicates start Spark. Spark starts
sooner there: Python reads modules from the installed package, not from zip files, and Java reads
classes from an archive (see archive_classes.py). The log hides secrets.

Spark's own resolver fetches the jars; it fails now and then, so the script tries several times. It
leaves out jars that Spark already has (Hadoop, Parquet, Jackson, log4j, …): a class path must not
hold two versions. It compares the SHA-256 of each jar with the given file, by default
jars.sha256. The names in that file also contain the versions.
"""

import hashlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyspark

TRIES = 4
HERE = Path(__file__).resolve().parent
INSTALLED = Path(pyspark.__file__).resolve().parent
JARS = INSTALLED / "jars"
QUICK_HOME = Path(sys.prefix) / "quick-spark"


def read_pins(path: Path) -> dict[str, str]:
    """Return the digests in a file of sha256sum, by the names of the jars."""
    return dict(reversed(line.split()) for line in path.read_text().splitlines())


def packages_of(pinned: dict[str, str]) -> str:
    """Return the Maven coordinates of Delta and Iceberg; the other jars are their dependencies."""
    wanted = [name for name in pinned if name.startswith(("delta-spark_", "iceberg-spark-"))]
    found = [name.removesuffix(".jar").rpartition("-") for name in wanted]
    return ",".join(f"{group_of(name)}:{name}:{version}" for name, _, version in found)


def group_of(name: str) -> str:
    """Return Maven's group of a jar."""
    return "io.delta" if name.startswith("delta-") else "org.apache.iceberg"


PINNED = read_pins(HERE / "jars.sha256")
PACKAGES = packages_of(PINNED)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_complete(pinned: dict[str, str]) -> bool:
    return all(
        (JARS / name).exists() and sha256(JARS / name) == digest for name, digest in pinned.items()
    )


def fetch(folder: Path, packages: str = PACKAGES) -> bool:
    """Let Spark resolve packages into a folder, and tell whether it succeeded."""
    (folder / "nothing.py").write_text("")
    command = [
        str(Path(pyspark.__file__).parent / "bin" / "spark-submit"),
        *("--packages", packages),
        *("--conf", f"spark.jars.ivy={folder / 'ivy'}"),
        str(folder / "nothing.py"),
    ]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        print(result.stderr[-3000:], file=sys.stderr)
    return result.returncode == 0


def install(folder: Path, pinned: dict[str, str] = PINNED, jars: Path = JARS) -> None:
    """Check the digests of the pinned jars, and copy the jars into Spark's own folder."""
    for name, digest in pinned.items():
        source = folder / "ivy" / "jars" / f"{group_of(name)}_{name}"
        found = sha256(source)
        if found != digest:
            sys.exit(f"{name} has SHA-256 {found}, but {digest} is pinned")
        shutil.copyfile(source, jars / name)


# Spark's own script runs the first python3 of the PATH; this runs the Python beside it. Another
# Python has no Spark of its own, so it needs the zip files. YARN sends them to its machines.
SUBMIT = """\
#!/bin/sh
before= other="$PYSPARK_PYTHON$PYSPARK_DRIVER_PYTHON"
case "$*" in *spark.pyspark.*python*) other=python ;; esac
files="$SPARK_CONF_DIR/spark-defaults.conf"
for word in "$@"; do
  if [ "$before" = --properties-file ]; then files="$word"; fi
  before="$word"
done
if grep -qs '^ *spark[.]pyspark[.].*python' "$files"; then other=python; fi
if [ -z "$SPARK_HOME$other" ]; then export SPARK_HOME={home}; fi
if [ -z "$SPARK_HOME" ]; then export SPARK_HOME={installed}; fi
if [ -z "$PYSPARK_PYTHON" ]; then export PYSPARK_PYTHON={python}; fi
if [ -z "$PYSPARK_ARCHIVES_PATH" ]; then export PYSPARK_ARCHIVES_PATH={zips}; fi
exec "$SPARK_HOME/bin/spark-submit" "$@"
"""
# The options of the user come later, and win.
QUICK_SUBMIT = """\
#!/bin/sh
if [ -e {archive} ]; then archived={archived}; else archived=; fi
if [ -e "${{SPARK_CONF_DIR:-{conf}}}/log4j2.properties" ]; then log4j=; else log4j={log4j}; fi
export SPARK_LAUNCHER_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC $SPARK_LAUNCHER_OPTS"
export SPARK_SUBMIT_OPTS="$archived $log4j $SPARK_SUBMIT_OPTS"
exec {submit} "$@"
"""
# Java would say on stdout that an archive is of another Java, or of other jars.
QUIET_ARCHIVES = "-Xlog:cds=off -Xlog:cds+dynamic=off"
ARCHIVE = Path(sys.prefix) / "java-classes.jsa"


def write_script(path: Path, text: str, words: Mapping[str, object]) -> None:
    """Write a script of the shell, with some words in quotes."""
    quoted = {name: shlex.quote(str(word)) for name, word in words.items()}
    path.write_text(text.format(**quoted))
    path.chmod(0o755)


def java_option(name: str, value: object) -> str:
    """Spell an option of Java as Spark reads it in SPARK_SUBMIT_OPTS."""
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


def wrap_spark_submit() -> None:
    """Replace the environment's spark-submit, which works only in an activated environment."""
    zips = sorted(map(str, (INSTALLED / "python/lib").glob("*.zip")))
    words = {
        "home": QUICK_HOME,
        "installed": INSTALLED,
        "python": sys.executable,
        "zips": ",".join(zips),
    }
    write_script(Path(sys.executable).parent / "spark-submit", SUBMIT, words)


def make_quick_home(home: Path = QUICK_HOME) -> None:
    """Link to the installed Spark, but for its zip files and spark-submit."""
    shutil.rmtree(home, ignore_errors=True)
    for folder in ("bin", "python"):
        (home / folder).mkdir(parents=True)
    parts = [INSTALLED / name for name in ("conf", "jars", "sbin", "python/pyspark")]
    for path in (*parts, *(INSTALLED / "bin").iterdir()):
        if path.name != "spark-submit":
            (home / path.relative_to(INSTALLED)).symlink_to(path)
    log4j = f"file:{HERE / 'log4j2.properties'}"
    words = {
        "archive": ARCHIVE,
        "archived": f"{java_option('-XX:SharedArchiveFile', ARCHIVE)} {QUIET_ARCHIVES}",
        "log4j": java_option("-Dlog4j2.configurationFile", log4j),
        "conf": INSTALLED / "conf",
        "submit": INSTALLED / "bin/spark-submit",
    }
    write_script(home / "bin/spark-submit", QUICK_SUBMIT, words)


def main(arguments: list[str]) -> None:
    pinned = read_pins(Path(arguments[0])) if arguments else PINNED
    wrap_spark_submit()
    make_quick_home()
    if not is_complete(pinned):
        fetch_jars(pinned)


def fetch_jars(pinned: dict[str, str]) -> None:
    if shutil.which("java") is None:
        sys.exit("Java 17 or newer is needed: install it and put it on the PATH.")
    for attempt in range(1, TRIES + 1):
        with tempfile.TemporaryDirectory() as folder:
            if fetch(Path(folder), packages_of(pinned)):
                install(Path(folder), pinned)
                return
        print(f"fetching the jars failed (try {attempt} of {TRIES})", file=sys.stderr)
    sys.exit("the jars could not be fetched: is there a network?")


if __name__ == "__main__":
    main(sys.argv[1:])
