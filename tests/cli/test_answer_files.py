from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawsure.cli.answer_files import answer_file, is_finished, partial_folder
from pawsure.cli.answer_rows import CsvRows, JsonRows, ParquetRows, columns
from pawsure.errors import UsageError
from pawsure.model.answer import Answer, Failure

LABELS = ("cat", "dog")
KINDS = {"csv": CsvRows(LABELS), "jsonl": JsonRows(), "parquet": ParquetRows(LABELS)}
NUM_PICTURES = 43
BATCH_SIZE = 4


def result_for(path: str) -> Answer | Failure:
    """What a model might say, the same each time."""
    number = sum(path.encode("utf-8", "surrogateescape"))
    if number % 5 == 0:
        return Failure(path=path, error='damaged: "so", they say')
    cat = (number % 97 + 0.1) / 98
    return Answer(
        path=path,
        answer="unsure" if number % 7 == 0 else "cat",
        label="cat",
        probability=cat,
        probabilities={"cat": cat, "dog": 1 - cat},
        familiarity=None if number % 3 == 0 else cat / 2,
    )


def pictures(count: int = NUM_PICTURES) -> list[Path]:
    return [Path("in") / f"{number:03}, “{number}”.jpg" for number in range(count)]


def settings(**changes: object) -> dict:
    return {
        "format": "--csv",
        "model": "sha256 1234",
        "columns": columns(LABELS),
        "pictures": ["in"],
        "batch_size": BATCH_SIZE,
    } | changes


class Cut(BaseException):
    """What ends a run in the middle."""


def write(out: Path, listed: list[Path], *, resume=False, cut_after=None, **changes) -> list[Path]:
    """Answer for what is left; say for which pictures that was."""
    answered = []
    rows = KINDS[out.suffix[1:]]
    with answer_file(out, rows, settings(**changes), resume=resume) as answers:
        for path in answers.left(iter(listed)):
            if cut_after is not None and len(answered) == cut_after:
                raise Cut
            answers.write(result_for(os.fspath(path)))
            answered.append(path)
    return answered


def paths_in(out: Path) -> list[str]:
    if out.suffix == ".parquet":
        return pq.read_table(out)["path"].to_pylist()
    with out.open("rb") as file:
        return [record.path for record in KINDS[out.suffix[1:]].records(file)]


def cut_short(out: Path, listed: list[Path], after: int, **changes) -> Path:
    """A file of which so many rows were written; gives the file of the rows."""
    with pytest.raises(Cut):
        write(out, listed, cut_after=after, **changes)
    return partial_folder(out) / KINDS[out.suffix[1:]].name


@pytest.fixture(params=list(KINDS))
def out(request, tmp_path) -> Path:
    return tmp_path / f"answers.{request.param}"


odd_paths = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
        st.text('",\r\n;\\\udcff', min_size=1, max_size=6),
    ),
    max_size=8,
)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@given(paths=odd_paths, data=st.data())
def test_rows_are_read_back_as_far_as_they_are_whole(kind, paths, data):
    rows = KINDS[kind]
    written = [rows.row(result_for(path)) for path in paths]
    whole = b"".join([rows.header(), *written])
    cut = data.draw(st.integers(0, len(whole)))
    records = list(rows.records(io.BytesIO(whole[:cut])))
    assert [record.path for record in records] == paths[: len(records)]
    ends = [len(rows.header()) + len(b"".join(written[: n + 1])) for n in range(len(written))]
    assert len(records) == sum(end <= cut for end in ends)
    for record in records:
        assert record.answer == getattr(result_for(record.path), "answer", "")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_a_power_cut_leaves_is_not_taken_for_rows(kind):
    rows = KINDS[kind]
    whole = rows.header() + rows.row(result_for("a.jpg")) + rows.row(result_for("c.jpg"))
    for rest in (b"\0" * 600, b"\0\0\r\n", b"{}\n", b"null\r\n", b"7\n"):
        assert len(list(rows.records(io.BytesIO(whole + rest)))) == 2


def test_a_file_is_there_when_all_of_it_is(out):
    with pytest.raises(Cut):
        write(out, pictures(), cut_after=10)
    assert not out.exists()
    assert not is_finished(out)
    write(out, pictures(), resume=True)
    assert is_finished(out)
    assert os.listdir(out.parent) == [out.name]


def test_a_resumed_file_is_that_of_a_run_never_cut(out, tmp_path):
    (tmp_path / "whole").mkdir()
    whole = tmp_path / "whole" / out.name
    write(whole, pictures())
    for after in range(NUM_PICTURES):
        cut_short(out, pictures(), after)
        again = write(out, pictures(), resume=True)
        assert len(again) == NUM_PICTURES - after // BATCH_SIZE * BATCH_SIZE
        if out.suffix == ".parquet":
            assert pq.read_table(out).equals(pq.read_table(whole))
        else:
            assert out.read_bytes() == whole.read_bytes()
        out.unlink()


def test_a_row_that_was_cut_is_written_anew(out):
    rows = cut_short(out, pictures(), 20)
    size = rows.stat().st_size
    for cut in (1, 5, size // 2, size - 1):
        os.truncate(rows, max(0, size - cut))
        with pytest.raises(Cut):
            write(out, pictures(), resume=True, cut_after=6)
        size = rows.stat().st_size
    write(out, pictures(), resume=True)
    assert paths_in(out) == [str(path) for path in pictures()]


def test_pictures_that_came_meanwhile_are_answered_and_none_twice(out):
    listed = pictures()
    cut_short(out, listed[1::2], 12)
    write(out, listed, resume=True)
    assert sorted(paths_in(out)) == [str(path) for path in listed]


def test_a_picture_that_is_named_twice_has_two_rows(out):
    listed = pictures()[:9] * 2
    cut_short(out, listed, 8)
    write(out, listed, resume=True)
    assert paths_in(out) == [str(path) for path in listed]


def test_counts_are_those_of_all_rows(out):
    cut_short(out, pictures(), 20)
    with answer_file(out, KINDS[out.suffix[1:]], settings(), resume=True) as answers:
        for path in answers.left(pictures()):
            answers.write(result_for(str(path)))
        assert answers.tally.total() == NUM_PICTURES
        assert answers.resumed == 20
        wanted = [getattr(result_for(str(path)), "answer", "") for path in pictures()]
        assert dict(answers.tally) == {answer: wanted.count(answer) for answer in set(wanted)}


def test_a_file_that_is_there_stays_until_the_new_one_is_whole(out):
    write(out, pictures(5))
    before = out.read_bytes()
    cut_short(out, pictures(), 30)
    assert out.read_bytes() == before
    write(out, pictures(), resume=True)
    assert len(paths_in(out)) == NUM_PICTURES


def test_what_is_unfinished_is_not_lost_in_silence(out):
    rows = cut_short(out, pictures(), 12)
    before = rows.read_bytes()
    with pytest.raises(UsageError, match=r"interrupted run\. Resume it: add --resume\..*rm -r "):
        write(out, pictures())
    assert rows.read_bytes() == before


def test_a_run_that_had_no_answers_yet_leaves_nothing(out):
    cut_short(out, pictures(), 0)
    assert os.listdir(out.parent) == []


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model": "sha256 5678"}, "another model file: sha256 1234, not sha256 5678"),
        ({"columns": columns(["cat", "fish"])}, "other columns: path, answer"),
        ({"pictures": ["elsewhere"]}, "other PATHs: in, not elsewhere"),
        ({"batch_size": 5}, "another --batch-size: 4, not 5"),
        ({"format": "--jsonl"}, "another kind of file: --csv, not --jsonl"),
    ],
)
def test_other_settings_are_refused_and_named(out, changes, message):
    rows = cut_short(out, pictures(), 12)
    before = rows.read_bytes()
    with pytest.raises(UsageError, match=f"begun with {message}.*rm -r"):
        write(out, pictures(), resume=True, **changes)
    assert rows.read_bytes() == before


def test_rows_of_nobody_knows_what_are_refused(out):
    cut_short(out, pictures(), 12)
    (partial_folder(out) / "state.json").write_text("{")
    with pytest.raises(UsageError, match=r"state\.json, the settings of .* is missing or damaged"):
        write(out, pictures(), resume=True)


def test_a_kill_after_the_last_moment_is_cleared_up(out):
    write(out, pictures())
    partial_folder(out).mkdir()
    (partial_folder(out) / "state.json").write_text("{}")
    assert is_finished(out)
    assert not partial_folder(out).exists()


def test_one_process_at_a_time(out):
    cut_short(out, pictures(), 12)
    program = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print(flush=True)
    sys.stdin.read()
"""
    lock = partial_folder(out) / "lock"
    command = [sys.executable, "-c", program, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(UsageError, match=f"Another process is writing {out.name}"):
            write(out, pictures(), resume=True)
        other.stdin.close()
    write(out, pictures(), resume=True)
    assert len(paths_in(out)) == NUM_PICTURES


def test_a_full_disk_is_named_and_what_there_is_stays(out, monkeypatch):
    full = OSError(28, "No space left on device")
    rows = KINDS[out.suffix[1:]]
    with (
        pytest.raises(UsageError, match="No space left on device.*--resume continues"),
        answer_file(out, rows, settings(), resume=False) as answers,
    ):
        for path in pictures(12):
            answers.write(result_for(str(path)))
        raise full
    assert len(write(out, pictures(), resume=True)) == NUM_PICTURES - 12


def check_flipped_rows(out: Path, number: int, monkeypatch) -> None:
    listed = pictures()
    whole = out.with_name(f"whole{out.suffix}")
    write(whole, listed)
    said: list[str] = []
    monkeypatch.setattr("pawsure.cli.screen.note", said.append)
    cut_short(out, listed, 30)
    kept = {path.name: path.read_bytes() for path in partial_folder(out).iterdir()}
    rows = KINDS[out.suffix[1:]].name
    covered = int(kept["checksums"].splitlines()[-1].split()[0])  # behind it rows are dropped
    for turn in range(number):
        partial_folder(out).mkdir(exist_ok=True)
        for name, content in kept.items():
            (partial_folder(out) / name).write_bytes(content)
        damaged = bytearray(kept[rows])
        bit = turn * 7919 % (covered * 8)
        damaged[bit // 8] ^= 1 << bit % 8
        (partial_folder(out) / rows).write_bytes(bytes(damaged))
        said.clear()
        write(out, listed, resume=True)
        assert paths_in(out) == paths_in(whole)
        assert out.suffix == ".parquet" or out.read_bytes() == whole.read_bytes()
        assert len(said) == 1 and "are damaged from row" in said[0]


def test_damaged_rows_are_answered_again(out, monkeypatch):
    check_flipped_rows(out, 10, monkeypatch)


@pytest.mark.slow
def test_50_flipped_bits_in_rows_are_noticed(out, monkeypatch):
    check_flipped_rows(out, 50, monkeypatch)


def test_a_damaged_description_of_unfinished_answers_is_refused(out):
    cut_short(out, pictures(), 9)
    state = partial_folder(out) / "state.json"
    content = bytearray(state.read_bytes())
    content[20] ^= 1
    state.write_bytes(bytes(content))
    with pytest.raises(UsageError, match="is missing or damaged. Start again"):
        write(out, pictures(), resume=True)
