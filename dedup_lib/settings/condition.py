"""Conditions on columns (--protect-where): check each word, and spell the condition for Spark."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NamedTuple

from dedup_lib.errors import SettingsError

OperandKind = Literal["column", "text", "number", "boolean", "date", "timestamp", "NULL"]
_LONGEST = 10_000
_DEEPEST = 20
_BLANKS = " \t\r\n"
_NAME = r"(?:[^\W\d]\w*|`(?:[^`]|``)+`)"
# Everything else is refused. UTF-8 can't spell lone surrogates.
_TOKEN = re.compile(
    rf"""[{_BLANKS}]*(?:(?P<text>'(?:[^'\ud800-\udfff]|'')*')
    |(?P<moment>(?:DATE|TIMESTAMP)[ ]*'[0-9T:.Z+ -]+')
    |(?P<number>-?[0-9]+(?:\.[0-9]+)?(?![\w.]))
    |(?P<sign><=|>=|<>|!=|[=<>(),])
    |(?P<name>{_NAME}(?:\.{_NAME})*))""",
    re.IGNORECASE | re.VERBOSE,
)
_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")
_KEYWORDS = {"AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL", "TRUE", "FALSE"}
_LITERALS: dict[str, OperandKind] = {"TRUE": "boolean", "FALSE": "boolean", "NULL": "NULL"}
_ALLOWED = (
    "Allowed are columns, 'texts' in single quotes, numbers, TRUE, FALSE, NULL, DATE '…', "
    "TIMESTAMP '…', comparisons, IN, LIKE, BETWEEN, IS NULL, AND, OR, NOT and parentheses; "
    "functions, casts, arithmetic and queries are not."
)


class Operand(NamedTuple):
    """A column or a literal in a condition.

    Attributes:
        kind: Its type; `column` if the table decides on it.
        value: The literal as it is, without quotes; empty for a column.
        path: The names of a column and of its nested fields, from outside to inside.
    """

    kind: OperandKind
    value: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """A condition of allowed words alone.

    Attributes:
        sql: The condition in SQL. Columns and texts are spelled `operand_0`, `operand_1`, …, so
            that no word of the user is in it.
        operands: These columns and texts.
        compared: Operands that are compared with each other, so that their types must fit.
    """

    sql: str
    operands: tuple[Operand, ...]
    compared: tuple[tuple[Operand, ...], ...]

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """The columns: the names of each, from outside to inside."""
        return tuple(operand.path for operand in self.operands if operand.path)


def parse_condition(text: str) -> Condition:
    """Read --protect-where.

    Raises:
        SettingsError: The text is no condition, or holds a word or sign that is not allowed.
    """
    if len(text) > _LONGEST:
        raise SettingsError(
            f"--protect-where has {len(text):,} characters, more than {_LONGEST:,}: to protect "
            "single images, list their IDs in a file, and use --protect-ids."
        )
    reader = _Reader(_tokens(text))
    reader.condition(depth=0)
    if not reader.is_at("end"):
        raise reader.refusal()
    return Condition(" ".join(reader.spelled), tuple(reader.operands), tuple(reader.compared))


class _Token(NamedTuple):
    """A word or sign: its kind, its text, and a keyword or sign in the spelling of SQL."""

    kind: str
    text: str
    word: str


def _tokens(text: str) -> list[_Token]:
    tokens, position, text = [], 0, text.strip(_BLANKS)
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _refusal(text[position:].lstrip(_BLANKS)[0], text[:position])
        kind = str(found.lastgroup)
        token, position = found[kind], found.end()
        is_word = kind == "sign" or (kind == "name" and token.upper() in _KEYWORDS)
        tokens.append(_Token(kind, token, token.upper() if is_word else ""))
    return [*tokens, _Token("end", "", "end")]


def _refusal(token: str, before: str) -> SettingsError:
    shown = repr(token[:40]) if token else "the end"
    after = f" after {before.strip()[-40:]!r}" if before.strip() else ""
    return SettingsError(f"--protect-where: {shown} is not allowed{after}. {_ALLOWED}")


@dataclass
class _Reader:
    """Reads tokens by a grammar, and spells them for Spark; each method reads one rule of it."""

    tokens: list[_Token]
    position: int = 0
    spelled: list[str] = field(default_factory=list)
    operands: list[Operand] = field(default_factory=list)
    compared: list[tuple[Operand, ...]] = field(default_factory=list)

    def condition(self, depth: int) -> None:
        """Read terms with AND or OR between them; Spark knows which of the two comes first."""
        self.term(depth)
        while self.takes("AND", "OR"):
            self.term(depth)

    def term(self, depth: int) -> None:
        if depth > _DEEPEST:
            raise SettingsError(
                f"--protect-where: NOT and parentheses are nested more than {_DEEPEST} deep."
            )
        if self.takes("NOT"):
            self.term(depth + 1)
        elif self.takes("("):
            self.condition(depth + 1)
            self.expect(")")
        else:
            self.predicate()

    def predicate(self) -> None:
        first = self.operand()
        if self.takes("IS"):
            self.takes("NOT")
            self.expect("NULL")
        elif self.takes(*_COMPARISONS):
            self.compare(first, self.operand())
        elif self.is_at("NOT", "IN", "LIKE", "BETWEEN"):
            self.takes("NOT")
            self.membership(first)
        else:
            self.compare(first, Operand("boolean"))

    def membership(self, first: Operand) -> None:
        if self.takes("LIKE"):
            self.compare(first, self.pattern())
        elif self.takes("BETWEEN"):
            low = self.operand()
            self.expect("AND")
            self.compare(first, low, self.operand())
        else:
            self.expect("IN")
            self.expect("(")
            several = [self.operand()]
            while self.takes(","):
                several.append(self.operand())
            self.expect(")")
            self.compare(first, *several)

    def pattern(self) -> Operand:
        operand = self.operand()
        if operand.kind != "text":
            raise SettingsError("--protect-where: LIKE needs a 'text' on its right side.")
        if not re.fullmatch(r"(?:[^\\]|\\[\\%_])*", operand.value, re.DOTALL):
            raise SettingsError(
                rf"--protect-where: in the pattern {operand.value!r} of LIKE, \ must stand before "
                r"%, _ or \."
            )
        return operand

    def operand(self) -> Operand:
        """Read a column or literal."""
        token = self.tokens[self.position]
        if token.word in _LITERALS:
            self.takes(token.word)
            return Operand(_LITERALS[token.word])
        if token.word:
            raise self.refusal()
        self.position += 1
        if token.kind == "number":
            self.spelled.append(token.text)
            return Operand("number", token.text)
        if token.kind == "moment":
            return self.moment(token.text)
        return self.named(token)

    def moment(self, text: str) -> Operand:
        kind: Literal["date", "timestamp"] = "date" if text[0] in "dD" else "timestamp"
        _, value, _ = text.split("'")
        try:
            parsed = (date if kind == "date" else datetime).fromisoformat(value)
        except ValueError as error:
            raise SettingsError(f"--protect-where: {value!r} is no {kind}: {error}.") from error
        self.spelled.append(f"{kind.upper()} '{parsed.isoformat()}'")
        return Operand(kind, value)

    def named(self, token: _Token) -> Operand:
        """Spell a column or a text by its number."""
        if token.kind == "text":
            operand = Operand("text", token.text[1:-1].replace("''", "'"))
        else:
            parts = re.findall(_NAME, token.text)
            operand = Operand("column", path=tuple(map(_unquoted, parts)))
        self.spelled.append(f"operand_{len(self.operands)}")
        self.operands.append(operand)
        return operand

    def compare(self, *operands: Operand) -> None:
        self.compared.append(operands)

    def is_at(self, *words: str) -> bool:
        return self.tokens[self.position].word in words

    def takes(self, *words: str) -> bool:
        """Spell the next token and go on, if it is one of these."""
        if not self.is_at(*words):
            return False
        self.spelled.append(self.tokens[self.position].word)
        self.position += 1
        return True

    def expect(self, word: str) -> None:
        if not self.takes(word):
            raise self.refusal()

    def refusal(self) -> SettingsError:
        before = " ".join(token.text for token in self.tokens[: self.position])
        return _refusal(self.tokens[self.position].text, before)


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name[0] == "`" else name
