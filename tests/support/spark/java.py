"""Options of Java by which short runs of Spark are quick."""

import shlex

from tests.support.paths import ROOT

# Short runs are over before the optimising compiler has paid for itself. With room enough, no code
# is compiled twice, and no heap collected because classes are many.
QUICK_JAVA = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC -XX:MetaspaceSize=256m"
)
CLASS_ARCHIVE = ROOT / "build/java-classes.jsa"
# What Java has to say of an archive, it says on stdout.
QUIET_ARCHIVES = "-Xlog:cds=off -Xlog:cds+dynamic=off"
_ARCHIVED = f"-XX:SharedArchiveFile={shlex.quote(str(CLASS_ARCHIVE))} -Xshare:auto {QUIET_ARCHIVES}"
JAVA_OPTIONS = f"{QUICK_JAVA} {_ARCHIVED}" if CLASS_ARCHIVE.exists() else QUICK_JAVA
