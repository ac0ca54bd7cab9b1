"""The plan of the methods' quality holds runs that train takes, and its tables are right."""

import json

from benchmarks import methods_quality
from benchmarks.methods_quality import Cell


def test_every_run_of_the_plan_is_one_that_train_takes():
    cells = methods_quality.plan()
    assert len({cell.place for cell in cells}) == len(cells)
    for cell in cells:
        config = cell.config(cell.steps(1))
        assert config.method == cell.method and config.seed == cell.seed


def test_tables_hold_last_and_best_of_every_seed(tmp_path):
    def metrics(row, colour, step):
        shown = {row: {"colour": {"value": colour}}, "real (floor)": {"colour": {"value": 2.75}}}
        look = {"title": "Look", "rows": shown}
        direction = {"tables": [look], "checkpoint": f"step-{step}", "count": 19}
        return json.dumps({"directions": [direction]})

    for seed, colour in ((0, 4.0), (1, 5.5)):
        place = tmp_path / "runs" / Cell("satellite2map", "cut", seed, "cut").place
        for which, lower, step in (("latest", 0.0, 300), ("best", 1.25, 200)):
            (place / f"evaluation_{which}").mkdir(parents=True)
            # an older name of the row beside the present one
            row = "translated" if seed else "CycleGAN"
            path = place / f"evaluation_{which}" / "metrics.json"
            path.write_text(metrics(row, colour - lower, step))
    lines = methods_quality.tables(methods_quality.plan(), tmp_path, minutes=1.0).splitlines()
    steps = Cell("satellite2map", "cut", method="cut").steps(1.0)
    assert lines[0] == "| satellite2map, n = 19, seeds 0, 1 | steps | colour |"
    assert f"| cut | {steps} | 4 / 5.5 |" in lines
    assert "| cut | best: 200/200 | 2.75 / 4.25 |" in lines
    assert "| real (floor) |  | 2.75 |" in lines
