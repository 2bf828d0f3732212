#!/bin/bash
# Put the RAPIDS Accelerator on a cluster's class path: the jar lies on the volume, beside this script.
# Fill in the folder, and name and digest of the jar whose release notes list the cluster's runtime.
set -euo pipefail
FOLDER=/Volumes/main/images/dedup/rapids
JAR=rapids-4-spark_2.13-VERSION.jar
SHA256=DIGEST
cp "$FOLDER/$JAR" "/tmp/$JAR"
echo "$SHA256  /tmp/$JAR" | sha256sum --check --quiet
mv "/tmp/$JAR" /databricks/jars/
