"""history.jsonl of a run that goes on."""

import json

from tfcyclegan.training.history import History, read_history


def of(step):
    return json.dumps({"step": step}) + "\n"


def test_a_damaged_line_takes_no_other_with_it(tmp_path, capsys):
    path = tmp_path / "history.jsonl"
    path.write_text(of(50) + of(100).replace(":", "\x00") + of(150) + of(200) + of(250))
    before = path.read_bytes()
    History(path, resumed_step=200).close()
    assert [line["step"] for line in read_history(path)] == [50, 150, 200]
    assert (tmp_path / "history.jsonl.damaged").read_bytes() == before
    assert "leaves out 1 damaged line; as it was" in capsys.readouterr().out


def test_a_last_line_cut_off_by_a_crash_is_left_out_without_a_word(tmp_path, capsys):
    path = tmp_path / "history.jsonl"
    path.write_text(of(50) + of(100)[:-4])
    history = History(path, resumed_step=100)
    history.append({"step": 100})
    history.close()
    assert [line["step"] for line in read_history(path)] == [50, 100]
    assert not (tmp_path / "history.jsonl.damaged").exists() and capsys.readouterr().out == ""
