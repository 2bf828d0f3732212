#!/bin/bash
# Put the RAPIDS Accelerator on a cluster's class path. The jar lies on the volume beside this script.
# Fill in the folder. For another runtime than 17.3 LTS take a jar whose release notes list that runtime,
# and fill in its name and digest. This one is com.nvidia:rapids-4-spark_2.13:26.08.1, 1 GB.
set -euo pipefail
FOLDER=/Volumes/main/images/dedup/rapids
JAR=rapids-4-spark_2.13-26.08.1.jar
SHA256=d5224e1c07bc881e93829ea341b33a9a7896d1ced7783262b62d027a1e48b1f9
cp "$FOLDER/$JAR" "/tmp/$JAR"
echo "$SHA256  /tmp/$JAR" | sha256sum --check --quiet
mv "/tmp/$JAR" /databricks/jars/
