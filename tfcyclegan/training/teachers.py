"""What a distillation takes from its teacher's run: frozen generators, and discriminators to begin
with.
"""

from pathlib import Path

from tfcyclegan.config import TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.methods.base import Method
from tfcyclegan.networks import Generator
from tfcyclegan.system.progress import log
from tfcyclegan.training.checkpoints import load_networks, told_choice
from tfcyclegan.training.runs import read_run


def load_teachers(config: TrainConfig, precision: str) -> dict[str, Generator]:
    """The teacher's generators by direction, in the precision of the training; none where the
    method has no teacher.

    Raises:
        UserError: the teacher has no generator of a direction that is asked for.
    """
    if config.method != "distill":
        return {}
    teacher = read_run(Path(config.teacher))
    there = [name.removeprefix("gen_") for name in teacher.networks if name.startswith("gen_")]
    directions = ("ab", "ba") if config.students == "both" else (config.students,)
    if lacking := [direction for direction in directions if direction not in there]:
        raise UserError(
            f"--students={config.students}: the teacher {config.teacher} has no generator "
            f"{', '.join(lacking)}; give --students={there[0]}"
        )
    names = tuple(f"gen_{direction}" for direction in directions)
    networks = load_networks(teacher, config.teacher_checkpoint, names, dtype=precision)
    teachers = {}
    for direction, name in zip(directions, names, strict=True):
        network = networks[name]
        assert isinstance(network, Generator)
        network.trainable = False
        teachers[direction] = network
    log(f"teacher: {config.teacher}, {told_choice(teacher.directory, config.teacher_checkpoint)}")
    return teachers


def begin_as_teacher(model: Method, config: TrainConfig) -> None:
    """Gives the discriminators the weights of the teacher's, where those are of the same shapes."""
    teacher = read_run(Path(config.teacher))
    there = [name for name in _discriminators(model) if name in teacher.networks]
    taken = []
    for name, network in load_networks(teacher, config.teacher_checkpoint, tuple(there)).items():
        own = model.networks[name]
        if [w.shape for w in own.weights] == [w.shape for w in network.weights]:
            own.set_weights(network.get_weights())
            taken.append(name)
    anew = [name for name in _discriminators(model) if name not in taken]
    if anew:
        log(
            f"{', '.join(anew)}: not the teacher's, whose shapes differ or are missing: begins anew"
        )


def _discriminators(model: Method) -> list[str]:
    return [f"disc_{domain}" for domain in model.discriminators]
