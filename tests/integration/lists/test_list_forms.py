"""Lists in CSV, JSON Lines and text, and the files of duplicate finders."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup_lib import DuplicateIds, Settings, run
from dedup_lib.errors import (
    AmbiguousListError,
    ColumnTypeError,
    MissingColumnError,
    NotAListError,
    UnreadableFileError,
)
from dedup_lib.lists.text import files as text_files
from tests.support.tables.made import image_rows, write_list, write_parquet

TEXTS = ["7", "007", "a,b", "two\nlines", 'say "x"', "", " ", "ü", *(f"id-{n}" for n in range(30))]
NUMBERS = [7, -1, 0, 2**53 + 1, *range(100, 110)]


@pytest.fixture
def images(tmp_path):
    return write_parquet(image_rows(TEXTS), tmp_path / "images/1.parquet").parent


@pytest.fixture
def numbered(tmp_path):
    rows = image_rows(NUMBERS, id_type=pa.int64())
    return write_parquet(rows, tmp_path / "numbered/1.parquet").parent


@pytest.fixture
def planned(spark, tmp_path):
    """Plan only: for each removed ID the names of the lists that name it, and its survivor."""

    def planned(images, *lists, **settings):
        asked = [it if isinstance(it, DuplicateIds) else DuplicateIds(str(it)) for it in lists]
        plan = tmp_path / "plan"
        run(
            spark,
            Settings(
                images=str(images),
                duplicate_ids=tuple(asked),
                removed_output=str(plan),
                output_mode="overwrite",
                max_removed_fraction=1,
                dry_run=True,
                **settings,
            ),
        )
        return {
            row["image_id"]: (
                [reason["list_location"].rpartition("/")[2] for reason in row["reasons"]],
                row["surviving_keeper_id"],
            )
            for row in pq.read_table(plan).to_pylist()
        }

    return planned


@pytest.fixture
def made(tmp_path):
    """Write a file of bytes, of text, or of JSON."""

    def made(name, content):
        path = tmp_path / "lists" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes | str):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return made


def test_every_form_names_the_images_that_it_says(planned, images, made):
    """All in one run; the plan tells which list named which row."""
    expected = {
        made("odd.csv", 'id\n"two\nlines"\n"say ""x"""\n""\n'): ["two\nlines", 'say "x"', ""],
        made("bom.csv", b'\xef\xbb\xbfid\r\n007\r\n\r\n"a,b"'): ["007", "a,b"],
        made("labels.csv", ",id,width\n0,id-0,5\n1,id-1,5\n"): ["id-0", "id-1"],
        made("g.csv.gz", gzip.compress(b"path\nid-2\n")): ["id-2"],
        made("b.jsonl", b'\xef\xbb\xbf{"id": "id-3"}\r\n\r\n{"id": null}\n{"id": "\\u00fc"}'): [
            "id-3",
            "ü",
        ],
        made("g.jsonl.gz", gzip.compress(b'{"id":"id-4","n":{"m":1}}\n{"id":"x"}\n')): ["id-4"],
        made("n.ndjson", '{"id": " "}\n'): [" "],
        made("lines.json", '{"id": "id-5"}\n{"id": "id-6", "tags": ["a"]}\n'): ["id-5", "id-6"],
        made("array.json", ["id-7", "7"]): ["id-7", "7"],
        made("t.txt", b"\xef\xbb\xbfid-8\r\n\n\nid-9\n"): ["id-8", "id-9"],
        made("g.txt.gz", gzip.compress(b"id-10")): ["id-10"],
        made("difPy_1_lower_quality.txt", str(["id-11", "it's"])): ["id-11"],
        made("several/dt=1/x.csv", "id,label\nid-12,a\n").parents[1]: ["id-12", "id-13"],
    }
    made("several/dt=2/y.csv", "id,label\nid-13,a\n")
    made("several/note.md", "a note")
    named = planned(images, *(DuplicateIds(str(path)) for path in expected))
    assert {one: lists for one, (lists, _) in named.items()} == {
        one: [path.name] for path, ids in expected.items() for one in ids
    }


def test_g2_numbers_are_their_own_spelling(planned, numbered, made):
    large = 2**53 + 1
    expected = {
        made("n.csv", f'id\n7\n"-1"\n{large}\n8\n'): [7, -1, large],
        made("n.jsonl", '{"id": 100}\n{"id": 9000000000}\n'): [100],
        made("n.txt", "0\n101\n"): [0, 101],
        made("n.json", [102]): [102],
    }
    named = planned(numbered, *expected)
    assert {one: lists for one, (lists, _) in named.items()} == {
        one: [path.name] for path, ids in expected.items() for one in ids
    }


def test_what_a_list_means_is_told_as_for_parquet(planned, images, made):
    """Groups, pairs and keepers, by their names or by what the user maps."""
    twins = "one,two,dist\nid-0,id-1,0.1\nid-1,id-0,0.1\nid-2,id-3,0.9\n"
    # Numbers of 40 digits: those of the last two differ in their last digit.
    digests = [{"id": f"id-{n}", "sha1": 10**39 + max(1, n - 26)} for n in (26, 27, 28)]
    digests = "\n".join(map(json.dumps, digests))
    lists = [
        made("groups.csv", "id,group\nid-10,1\nid-11,1\nid-12,-1\nid-13,\n"),
        made("keepers.jsonl", '{"id": "id-20", "duplicate_of": "id-21"}\n{"id": "id-22"}'),
        made("pairwise.csv", "id,max_id,cosine_sim_score\nid-24,id-23,0.99\nid-25,id-23,nan\n"),
        DuplicateIds(str(made("sets.csv", "f,set\nid-14,x\nid-15,x\n")), group_column="set"),
        DuplicateIds(str(made("digests.jsonl", digests)), group_column="sha1"),
        DuplicateIds(
            str(made("twins.csv", twins)),
            "one",
            partner_column="two",
            score_column="dist",
            max_distance=0.5,
        ),
    ]
    assert planned(images, *lists, eps=0.1) == {
        "id-11": (["groups.csv"], "id-10"),
        "id-20": (["keepers.jsonl"], "id-21"),
        "id-24": (["pairwise.csv"], "id-23"),
        "id-15": (["sets.csv"], "id-14"),
        "id-27": (["digests.jsonl"], "id-26"),
        "id-1": (["twins.csv"], "id-0"),
    }


def test_the_files_of_duplicate_finders_need_no_columns(planned, images, made):
    def image(n):
        return {"path": f"id-{n}", "size": 1, "hashes": [n], "difference": "Original"}

    hashes = {"id-16": [["id-17", 2], ["id-18", 12]], "id-17": [["id-16", 2]], "id-18": []}
    made("fastdup/atrain_features.dat.csv", "index,filename\n0,id-0\n1,id-1\n2,id-2\n3,id-3\n")
    lists = [
        made("fastdup/similarity.csv", "from,to,distance\n0,1,0.99\n1,0,0.99\n2,0,0.5\n"),
        made("fastdup/connected_components.csv", "__id,component_id,count\n2,7,2\n3,7,2\n0,8,1\n"),
        made("names.json", {"id-4": ["id-5"], "id-5": ["id-4"], "id-6": []}),
        made("czkawka.json", [[image(8), image(7)], [image(9), image(10)]]),
        made("reference.json", [[image(12), [image(11)]]]),
        DuplicateIds(
            str(made("difPy_1_results.json", {"id-13": [["id-14", 0.0], ["id-15", 99.5]]})),
            max_distance=10,
        ),
        DuplicateIds(
            str(made("hashes.json", hashes)),
            score_means="distance",
            max_distance=10,
        ),
    ]
    gone = planned(images, *lists, eps=0.1)
    assert {one: keeper for one, (_, keeper) in gone.items()} == {
        "id-1": "id-0", "id-3": "id-2", "id-5": "id-4", "id-8": "id-7", "id-9": "id-10",
        "id-11": "id-12", "id-14": "id-13", "id-17": "id-16",
    }  # fmt: skip


def refusals():
    """Content of a file, the error, and what it says."""
    pairs = "from,to,distance\n0,1,0.9\n"
    yield "a.csv", "id\nid-1\n\nid-2,x\n", UnreadableFileError, "line 4 has 2 values"
    yield "a.csv", 'id\nid-1\n"id-2\nid-3\n', UnreadableFileError, "line 3 is not CSV"
    yield "a.csv", 'id\n"id-1"x\n', UnreadableFileError, "line 2 is not CSV"
    yield "a.csv", b"id\nid-1\nid-\xff\n", UnreadableFileError, "line 3 is not text in UTF-8"
    yield "a.csv", "id\nid-1\n".encode("utf-16"), UnreadableFileError, "UTF-16"
    yield "a.csv", "id,ID\nid-1,x\n", UnreadableFileError, "there twice"
    yield "a.csv", "id;group\nid-1;1\n", UnreadableFileError, "separated by ';'"
    yield "a.csv", "id-1\nid-2\n", UnreadableFileError, "'id-1' is an image ID"
    yield "a.csv", "id,max_id,cosine_sim_score\na,b,x\n", ColumnTypeError, "line 2: .* a score"
    yield "a.csv", "id,zz\nid-1,x\nid-2,x\nid-3,y\n", AmbiguousListError, "3 IDs in 2 values"
    yield "a.csv", "id,zz\nid-1,True\nid-2,False\n", NotAListError, "an annotated image table"
    yield "a.jsonl", '{"id": "id-1"}\nid-2\n', UnreadableFileError, "line 2 is not JSON"
    yield "a.jsonl", '{"id": "id-1"}\n{"id": 2}\n', ColumnTypeError, "line 2: 2 is not string"
    yield "a.jsonl", '{"id": "a"} {"id": "b"}\n', UnreadableFileError, "line 1 is not JSON"
    yield "a.jsonl", '{"id": "\\udc00"}\n', UnreadableFileError, "line 1 holds half"
    yield "a.json", '{\n"id-1": ["id-2"\n', UnreadableFileError, "line 3 is not JSON"
    scored = {"a": [["b", 1]], "b": [["a", 1]]}
    yield "a.json", scored, AmbiguousListError, "Say which: --score-means"
    yield "a.json", {"keep": ["id-1", "id-2"], "remove": ["id-3"]}, NotAListError, "neither JSON L"
    yield "_a.csv", "id\nid-1\n", UnreadableFileError, "Spark reads no text from a file"
    yield "a.json", [{"id": "a"}], NotAListError, "neither JSON Lines"
    yield "a.json", [1], ColumnTypeError, "not string"
    yield "x_lower_quality.txt", "['a', ", UnreadableFileError, "not a list of texts"
    yield "similarity.csv", pairs, UnreadableFileError, "positions, not names"
    yield "outliers.csv", pairs, NotAListError, "fastdup's outliers"
    yield "i.csv", ",is_near_duplicates_issue\nid-1,True\n", NotAListError, "never opened"


def test_what_is_wrong_is_named_with_its_line(planned, images, made):
    for name, content, error, message in refusals():
        path = made(name, content)
        with pytest.raises(error, match=message) as refused:
            planned(images, path, eps=0.1)
        assert refused.value.exit_code == 3
        assert str(path) in str(refused.value)
        path.unlink()


def test_g2_another_type_is_named_with_its_line(planned, numbered, made):
    for name, content in {
        "a.csv": "id\n7\n007\n", "b.csv": "id\n7\n7.0\n", "c.txt": "7\n 7\n",
        "d.jsonl": '{"id": 7}\n{"id": "7"}', "e.jsonl": '{"id": 7}\n{"id": 7.0}',
    }.items():  # fmt: skip
        with pytest.raises(ColumnTypeError, match=r"line [23]: .* is not bigint, but the image"):
            planned(numbered, made(name, content))
    with pytest.raises(ColumnTypeError, match="not bigint"):
        planned(numbered, made("f.json", ["7"]))


def test_a_directory_is_of_one_form(planned, images, made):
    one = made("mixed/a.csv", "id\nid-1\n")
    made("mixed/b.txt", "id-2\n")
    with pytest.raises(AmbiguousListError, match="mixes formats"):
        planned(images, one.parent)
    made("headers/a.csv", "id\nid-1\n")
    other = made("headers/b.csv", "name\nid-1\n")
    with pytest.raises(UnreadableFileError, match=r"has the columns id, but .* has name"):
        planned(images, other.parent)
    write_list(one.parent / "c.parquet", ["id-3"])
    assert list(planned(images, one.parent)) == ["id-3"]


def test_what_the_driver_reads_as_a_whole_has_a_limit(planned, images, made, monkeypatch):
    monkeypatch.setattr(text_files, "LARGEST_BYTES", 20)
    with pytest.raises(UnreadableFileError, match="odd number of quotes, and more than"):
        planned(images, made("a.csv", 'id\n"two\nlines"\nid-1\nid-2\n'))
    with pytest.raises(UnreadableFileError, match="one JSON document, and more than"):
        planned(images, made("a.json", {"id-1": ["id-2"], "id-2": ["id-1"]}))


def test_a_list_to_protect_is_read_by_the_same_reader(planned, images, made):
    listed = made("list.csv", "name\nid-1\nid-2\nid-3\nid-4\n")
    protect = [
        made("marks.csv", 'id\n"id-1"\n'),
        made("p.csv", "name,n\nid-2,1\n"),
        made("p.txt", "id-3"),
    ]
    given = {"duplicate_id_column": "name", "protect_ids": tuple(map(str, protect))}
    assert list(planned(images, listed, **given)) == ["id-4"]
    with pytest.raises(UnreadableFileError, match="'id-1' is an image ID"):
        planned(images, listed, protect_ids=(str(made("q.csv", "id-1\nid-2\n")),))
    with pytest.raises(MissingColumnError):
        planned(
            images, listed, duplicate_id_column="name", protect_ids=(str(made("q.csv", "x,y\n")),)
        )


def test_the_names_of_positions_count_in_the_fingerprint(spark, images, made):
    pairs = made("f/similarity.csv", "from,to,distance\n0,1,0.99\n")

    def fingerprint(names):
        made("f/atrain_features.dat.csv", f"index,filename\n{names}")
        asked = Settings(
            images=str(images), duplicate_ids=(DuplicateIds(str(pairs)),), eps=0.1, dry_run=True
        )
        return run(spark, asked).inputs["duplicate_ids"][0]["fingerprint"]

    one = fingerprint("0,id-0\n1,id-1\n")
    assert fingerprint("0,id-0\n1,id-12\n") != one
    with pytest.raises(UnreadableFileError, match="not every position has one name"):
        fingerprint("0,id-0\n")


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_a_missing_column_of_a_text_list_is_found_by_what_it_holds(
    planned, images, numbered, made, name
):
    rows = [{"photo": "id-1", "width": 7}, {"photo": "id-2", "width": 7}]
    texts = ["photo,width", *(f"{row['photo']},{row['width']}" for row in rows)]
    lines = texts if name.endswith("csv") else [json.dumps(row) for row in rows]
    path = made(name, "\n".join(lines))
    advice = r"Did you mean '{}'\? It holds image IDs: --duplicate-id-column {}"
    with pytest.raises(MissingColumnError, match=advice.format("photo", "photo")):
        planned(images, path)
    with pytest.raises(MissingColumnError, match=r"no column 'id'") as refused:
        planned(numbered, path)
    assert "photo" not in str(refused.value).partition("Did you mean")[2]
