"""Options of Java by which Spark is quick: in short runs, and in the long session of a worker."""

import shlex

from tests.support.paths import ROOT

CLASS_ARCHIVE = ROOT / "build/java-classes.jsa"
# What Java has to say of an archive, it says on stdout.
QUIET_ARCHIVES = "-Xlog:cds=off -Xlog:cds+dynamic=off"
_ARCHIVED = f"-XX:SharedArchiveFile={shlex.quote(str(CLASS_ARCHIVE))} -Xshare:auto {QUIET_ARCHIVES}"
# With room enough, no code is compiled twice, and no heap collected because classes are many.
_ROOMY = "-XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC -XX:MetaspaceSize=256m"
# The optimising compiler pays for itself in five to ten minutes; short runs are over before that.
QUICK_JAVA = f"-XX:TieredStopAtLevel=1 {_ROOMY}"
JAVA_OPTIONS, LASTING_JAVA_OPTIONS = (
    f"{options} {_ARCHIVED}" if CLASS_ARCHIVE.exists() else options
    for options in (QUICK_JAVA, _ROOMY)
)
