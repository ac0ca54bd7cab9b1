"""Files that are whole or not there, also with several writers and after a kill between two
renames.
"""

import os
import threading

import pytest

from tfcyclegan.system import files


def test_writers_of_one_file_wait_for_each_other(tmp_path):
    """Each writes its own content in two parts; without a lock the second would empty the file that
    the first renames.
    """
    path, order = tmp_path / "metrics.json", []
    first_is_in, second_waits = threading.Event(), threading.Event()

    def first() -> None:
        with files.atomic_file(path, "w") as stream:
            first_is_in.set()
            stream.write("first ")
            stream.flush()
            second_waits.wait(5)
            stream.write("first")
            order.append(path.exists())

    def second() -> None:
        first_is_in.wait(5)
        threading.Timer(0.2, second_waits.set).start()
        with files.atomic_file(path, "w") as stream:
            order.append(path.read_text())
            stream.write("second")

    writers = [threading.Thread(target=each) for each in (first, second)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(10)
    assert order == [False, "first first"]
    assert path.read_text() == "second" and [each.name for each in tmp_path.iterdir()] == [
        path.name
    ]


def test_what_a_kill_left_is_overwritten_and_a_failure_leaves_nothing(tmp_path):
    path = tmp_path / "sizes"
    files.temporary_name(path).write_bytes(b"much longer than what is written")
    files.write_bytes(path, b"short")
    assert path.read_bytes() == b"short" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ZeroDivisionError), files.atomic_file(path) as stream:
        stream.write(b"half")
        _ = 1 / 0
    assert path.read_bytes() == b"short" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("size", [10, 100_000], ids=["when it is flushed", "when it is written"])
def test_a_full_disk_names_the_file(tmp_path, size):
    with (
        pytest.raises(OSError, match="No space left") as caught,
        files.atomic_file(tmp_path / "x") as stream,
    ):
        os.dup2(os.open("/dev/full", os.O_WRONLY), stream.fileno())
        stream.write(b"1" * size)
    assert caught.value.filename == str(tmp_path / "x") and list(tmp_path.iterdir()) == []


def test_a_directory_comes_back_that_a_kill_left_without_its_name(tmp_path):
    path, retired = tmp_path / "site", tmp_path / ".site.retired"
    retired.mkdir()
    (retired / "index.html").write_text("old")
    with pytest.raises(ZeroDivisionError), files.atomic_directory(path):
        _ = 1 / 0
    assert (path / "index.html").read_text() == "old"
    with files.atomic_directory(path) as temporary:
        (temporary / "index.html").write_text("new")
    assert (path / "index.html").read_text() == "new" and [
        each.name for each in tmp_path.iterdir()
    ] == ["site"]
