"""--protect-where: what a condition may say, and how it is spelled for Spark."""

import re

import pytest

from dedup_lib.cli import parse
from dedup_lib.errors import SettingsError
from dedup_lib.settings.condition import parse_condition
from tests.support.made_settings import settings

# What the SQL for Spark consists of, whatever the user's words are.
SPELLED = re.compile(
    r"(operand_\d+|AND|OR|NOT|IN|LIKE|BETWEEN|IS|NULL|TRUE|FALSE|=|<>|!=|<=?|>=?|[(),]"
    r"|-?\d+(\.\d+)?|(DATE|TIMESTAMP) '[\dT:.+-]+'| )+"
)


def operands(condition):
    return [one.path if one.kind == "column" else one.value for one in condition.operands]


@pytest.mark.parametrize(
    ("text", "sql", "names"),
    [
        ("split = 'test'", "operand_0 = operand_1", [("split",), "test"]),
        ("is_test", "operand_0", [("is_test",)]),
        ("NOT(a IS NOT NULL)or b", "NOT ( operand_0 IS NOT NULL ) OR operand_1", [("a",), ("b",)]),
        ("  not\n\tis_test ", "NOT operand_0", [("is_test",)]),
        ("a='x'and b<>'y'", "operand_0 = operand_1 AND operand_2 <> operand_3", None),
        ("n != -5 OR n>=2.50", "operand_0 != -5 OR operand_1 >= 2.50", [("n",), ("n",)]),
        (
            "a IN ('x', 'y', NULL) AND (b NOT IN(1))",
            "operand_0 IN ( operand_1 , operand_2 , NULL ) AND ( operand_3 NOT IN ( 1 ) )",
            [("a",), "x", "y", ("b",)],
        ),
        (
            "n BETWEEN 1 AND 2 AND m not between a and b",
            "operand_0 BETWEEN 1 AND 2 AND operand_1 NOT BETWEEN operand_2 AND operand_3",
            [("n",), ("m",), ("a",), ("b",)],
        ),
        ("p LIKE 'a\\_%\\\\'", "operand_0 LIKE operand_1", [("p",), "a\\_%\\\\"]),
        (
            "day < date '2026-01-31' OR at = TIMESTAMP'2026-01-31 10:00:00Z'",
            "operand_0 < DATE '2026-01-31' OR operand_1 = TIMESTAMP '2026-01-31T10:00:00+00:00'",
            [("day",), ("at",)],
        ),
        ("date = true", "operand_0 = TRUE", [("date",)]),
        ("meta.split = ''", "operand_0 = operand_1", [("meta", "split"), ""]),
        ("`a b`.`c.d``e` IS NULL", "operand_0 IS NULL", [("a b", "c.d`e")]),
        ("größe = 1", "operand_0 = 1", [("größe",)]),
    ],
)
def test_conditions_are_spelled_for_spark(text, sql, names):
    condition = parse_condition(text)
    assert condition.sql == sql
    assert names is None or operands(condition) == names
    assert SPELLED.fullmatch(sql)


@pytest.mark.parametrize(
    "text",
    [
        "it''s", "a; DROP TABLE victim", "${env:HOME}", "'' OR TRUE --", "\\", "*/ 1 /*", "\u202e",
        "two\nlines", '"', "`", "@x", "\x00", "😀",
    ],
)  # fmt: skip
def test_g16_no_word_of_the_user_reaches_spark(text):
    """Neither as a text nor as a column: they are operands, which SQL names by number."""
    condition = parse_condition(f"a = '{text}'")
    assert (condition.sql, operands(condition)[1]) == (
        "operand_0 = operand_1",
        text.replace("''", "'"),
    )
    name = text.replace("`", "``")
    assert operands(parse_condition(f"`{name}` = 1")) == [(text,)]


REFUSED = {
    "functions": [
        "current_user()", "a = current_user ( )", "reflect('java.lang.System', 'exit')",
        "a = java_method('x')", "lower(a) = 'x'", "exists(x -> x)", "`f`(1) = 1", "a.b(1)",
        "date('2026-01-31') = a", "not(a)(b)", "if(a, b, c)", "a = any (1)", "like(a)",
    ],
    "queries": [
        "a = (SELECT 1)", "a IN (SELECT b FROM t)", "EXISTS (SELECT 1)", "SELECT 1",
        "a IN (TABLE t)", "a IN (VALUES 1)", "(WITH x AS (SELECT 1) SELECT * FROM x)",
    ],
    "variables and parameters": ["a = @@x", "${env:HOME} = 'x'", "$x", "a = :x", "a = ?", "{x}"],
    "casts": [
        "CAST(a AS int) = 1", "a::int = 1", "a = X'6162'", "a = INTERVAL '1' DAY", "a = 5L",
        "a = r'x'", "a = 1e5", "a = 1.", "a = .5", "int '5' = a",
    ],
    "arithmetic": [
        "a + 1 = 2", "a -5 = 3", "a - 5 = 3", "a * 2 = 2", "a || 'x' = 'y'", "a & 1 = 1", "-a = 1",
        "a % 2 = 0", "~a = 1", "a = - 5",
    ],
    "other words": [
        "CASE WHEN a THEN b END", "a RLIKE 'x'", "a ILIKE 'x'", "a LIKE 'x' ESCAPE '!'", "a <=> b",
        "a IS DISTINCT FROM b", "a IS TRUE", "a = 1 AS b", "a = 1 b", "a b", "a, b", "*", "t.*",
        "(a, b) IN ((1, 2))", "a[0] = 1", "a = (5)", "(a) = 5", "(a = 5) = TRUE", "a = b = c",
        "a = NOT b", "a NOT NULL", "a NOT 5", "a IS 5", "a COLLATE x = 'y'", "a == 1", "! a",
    ],
    "comments and ends": [
        "a; DROP TABLE victim", "a;", "a -- x", "a /* x */", "a = 1 # x", "/*+ x */ a",
    ],
    "quotes": ['a = "x"', "a = 'x", "a = 'x''", "a = 'x' 'y'", "`a = 1", "`` = 1", "a = \u2018x"],
    "what is not complete": [
        "", " ", "(", ")", "()", "(a", "a)", "a =", "= 1", "a AND", "AND a", "a OR OR b", "NOT",
        "a IN ()", "a IN (1", "a IN 1", "a IN (1,)", "a IN (1 2)", "a BETWEEN 1", "a LIKE",
        "a BETWEEN 1 OR 2", "a..b", "a.", ".a", "a. b", "a .b", "a IS", "a IS NOT",
    ],
    "characters": [
        "a = 1\x00", "a\u00a0= 1", "a = ٣", "a \u2028 = 1", "a = \ud800", "a = '\ud800'",
        "a\ufeff = 1", "a \x0b = 1",
    ],
    "literals": [
        "a LIKE b", "a LIKE NULL", "a LIKE 5", "a LIKE 'x\\'", "a LIKE '\\x'",
        "a = DATE '2026-02-30'", "a = DATE 'x'", "a = TIMESTAMP '25:00'", "a = DATE '0000-01-01'",
        "a = DATE '2026-01-31 10:00:00'",
    ],
}  # fmt: skip


@pytest.mark.parametrize("text", [text for texts in REFUSED.values() for text in texts])
def test_g16_what_is_not_allowed_is_refused(text):
    with pytest.raises(SettingsError, match="--protect-where") as caught:
        settings(protect_where=text)
    assert caught.value.exit_code == 2


def test_long_and_deep_conditions_are_refused_before_spark_reads_them():
    parse_condition("(" * 20 + "a" + ")" * 20)
    for text in ("(" * 21 + "a" + ")" * 21, "NOT " * 2000 + "a"):
        with pytest.raises(SettingsError, match="nested more than 20 deep"):
            parse_condition(text)
    with pytest.raises(SettingsError, match=r"has 10,001 characters, .* use --protect-ids"):
        parse_condition("a" * 10_001)


def test_the_message_says_what_is_wrong_and_after_what():
    with pytest.raises(SettingsError, match=r"'\(' is not allowed after 'a = f'\. Allowed are col"):
        parse_condition("a = f(1)")
    with pytest.raises(SettingsError, match="the end is not allowed after 'a ='"):
        parse_condition("a = ")
    with pytest.raises(SettingsError, match=r"""'"' is not .*'texts' in single quotes"""):
        parse_condition('a = "x"')


def test_a_condition_comes_from_a_flag_or_from_toml(tmp_path):
    config = tmp_path / "job.toml"
    config.write_text("""protect_where = "split IN ('test', 'val')"\n""")
    argv = ["--images", "a/i", "--duplicate-ids", "a/l", "--output", "a/o", "--config", str(config)]
    found = parse(argv).protected_rows
    assert operands(found) == [("split",), "test", "val"]
    assert operands(parse([*argv, "--protect-where", "ok"]).protected_rows) == [("ok",)]
    assert settings().protected_rows is None
