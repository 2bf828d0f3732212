"""Options of Java by which Spark is quick: in short runs, and in the long session of a worker."""

# With room enough, no code is compiled twice, and no heap collected because classes are many.
_ROOMY = "-XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC -XX:MetaspaceSize=256m"
# The optimising compiler pays for itself in five to ten minutes; short runs are over before that.
JAVA_OPTIONS = f"-XX:TieredStopAtLevel=1 {_ROOMY}"
LASTING_JAVA_OPTIONS = _ROOMY
