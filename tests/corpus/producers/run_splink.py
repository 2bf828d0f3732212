"""Splink 5.0.0 by DuckDB: clusters, and the predictions that they come from."""

import sys
from pathlib import Path

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on


def main(captions: Path, out: Path) -> None:
    """Compare the captions in the records that begin with the same words."""
    connection = duckdb.connect()
    records = connection.sql(
        f"SELECT name AS unique_id, caption, caption[:20] AS beginning FROM '{captions}'"
    )
    database = DuckDBAPI(connection)
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[cl.JaroWinklerAtThresholds("caption", [0.9, 0.7])],
        blocking_rules_to_generate_predictions=[block_on("beginning")],
        probability_two_random_records_match=0.5,
        retain_matching_columns=False,
    )
    linker = Linker(database.register(records.to_arrow_table()), settings)
    predictions = linker.inference.predict()
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predictions, 0.5)
    for name, frame in (("predictions", predictions), ("clusters", clusters)):
        frame.to_parquet(str(out / f"{name}.parquet"), overwrite=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
