"""The accelerator's jar: pinned by its digest, wherever it is named."""

import pytest

from tests.support.jars import rapids_jar
from tests.support.paths import ROOT


def test_g17_a_jar_that_is_not_the_pinned_one_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setattr(rapids_jar, "JAR", tmp_path / "x.jar")
    monkeypatch.setattr(rapids_jar, "_fetch", lambda: None)
    assert rapids_jar.why_no_jar() == "x.jar is not there"
    (tmp_path / "x.jar").write_bytes(b"changed")
    with pytest.raises(pytest.fail.Exception, match=r"x\.jar has SHA-256 .* is pinned"):
        rapids_jar.rapids_jar()


def test_g17_databricks_gets_the_jar_that_is_tested():
    script = (ROOT / "conf/databricks/rapids_init.sh").read_text()
    assert f"JAR={rapids_jar.JAR.name}\nSHA256={rapids_jar._DIGEST}\n" in script
