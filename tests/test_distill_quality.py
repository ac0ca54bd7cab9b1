"""The plan of the students' quality holds runs that train takes, taught by its own teachers."""

from benchmarks import distill_quality
from benchmarks.methods_quality import STEP_SECONDS
from tfcyclegan import flags
from tfcyclegan.config import TrainConfig


def test_every_run_of_the_plan_is_one_that_train_takes():
    cells = distill_quality.plan()
    places = {f"runs/{cell.place}" for cell in cells}
    assert len(places) == len(cells)
    for cell in cells:
        words = [f"--{name}={value}" for name, value in cell.options().items()]
        config = flags.parse(TrainConfig, [*words, "--run_dir=run", f"--max_steps={cell.steps(1)}"])
        assert config.seed == cell.seed and config.residual_blocks == 9
        assert config.separable == (cell.name != "teacher")
        assert cell.kind in STEP_SECONDS[cell.size]
        if config.method == "distill":
            assert config.teacher in places and cell.data in config.teacher
