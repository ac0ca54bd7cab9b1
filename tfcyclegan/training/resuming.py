"""Whether a training may start, or go on, in its run directory."""

from pathlib import Path

from tfcyclegan.config import TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.training.checkpoint_files import DIRECTORY, newest, require_none_gone, steps
from tfcyclegan.training.history import HISTORY, read_history
from tfcyclegan.training.runs import CONFIG, OtherWeights, Run, check_resumable, read_run


def check_directory(run: Run) -> list[str]:
    """Checks that a run may be started or resumed in its directory.

    Returns:
        Warnings.

    Raises:
        UserError: the directory holds something else or a run with other settings, the run's
            checkpoints are gone, or its teacher's or segmenter's weights have changed.
    """
    directory = run.directory
    before = read_run(directory) if (directory / CONFIG).exists() else None
    if (
        before is None
        and directory.exists()
        and any(path.name != ".lock" for path in directory.iterdir())
    ):
        raise UserError(
            f"--run_dir={directory}: is not empty but holds no run; choose another directory"
        )
    # Before its first checkpoint a run has nothing that other settings could spoil.
    if before is None:
        return []
    if newest(directory / DIRECTORY) is None:
        require_none_gone(directory, trained=bool(read_history(directory / HISTORY)))
        return [f"{directory}: holds a run without a checkpoint, which starts over"]
    warnings = check_resumable(before, run)
    if before.teacher and run.teacher and before.teacher.weights != run.teacher.weights:
        raise UserError(_other_teacher(before.teacher, run.teacher, run.config))
    ours, theirs = run.segmenter, before.segmenter
    if ours and theirs and ours.weights != theirs.weights:
        raise UserError(
            f"--segmenter={run.config.segmenter}: was trained again since the run was started: its "
            "weights are others; restore the former ones, or choose another --run_dir"
        )
    return warnings


def _other_teacher(before: OtherWeights, now: OtherWeights, config: TrainConfig) -> str:
    """Says that a student would go on learning from other weights, and how it goes on."""
    there = before.step != now.step and before.step in steps(Path(config.teacher) / DIRECTORY)
    mend = (
        f"; give --teacher_checkpoint={before.step} (distill: --checkpoint={before.step})"
        if there
        else ", which are no longer there; choose another --run_dir"
    )
    return (
        f"--teacher_checkpoint={config.teacher_checkpoint}: is step {now.step} of "
        f"{config.teacher}, but the run was started with other weights, of step {before.step}"
        f"{mend}"
    )
