"""The plan of the students' quality holds runs that train takes, taught by its own teachers."""

from benchmarks import distill_quality
from benchmarks.methods_quality import STEP_SECONDS


def test_every_run_of_the_plan_is_one_that_train_takes():
    cells = distill_quality.plan()
    places = {f"runs/{cell.place}" for cell in cells}
    assert len(places) == len(cells)
    for cell in cells:
        config = cell.config(cell.steps(1))
        assert config.seed == cell.seed and config.residual_blocks == 9
        assert config.separable == (cell.name != "teacher")
        assert cell.kind in STEP_SECONDS[cell.size]
        if config.method == "distill":
            assert config.teacher in places and cell.data in config.teacher
