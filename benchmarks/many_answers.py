"""Which of the looks that a label map may have does Augmented CycleGAN reach, and is one of its
answers nearer to the truth than CycleGAN's only one?

    python -m benchmarks.many_answers --directory=DIR --steps=4000

Draws the synthetic street (toy_street): A is label maps, B game-like frames of other scenes, each
by day, at dusk or at night and with one of two pavings of the road, all equally often. A label map
tells neither, so each has six known looks, which can be drawn. Trains --method=augmented and
--method=cyclegan by the same flags for the same --steps, translates the test scenes, and counts.

A look is reached if an answer is nearer to it than to the scene's five others (mean distance in Lab
over pixels; the paving by the mean colour of the road) and nearer than the next other light is:
a picture that is like none of them reaches none. The error is that from the frame that the scene
was drawn as; of several answers, of the best.

Controls: CycleGAN's answers to inputs with noise, and as many random training frames of B. All that
is done is kept in DIR: the same command continues. Results: printed, in DIR/results.json, and as
DIR/answers.png, on whose rows a label map, its frame and its answers stand side by side.
"""

import argparse
import dataclasses
import itertools
import random
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep import folders
from tfcyclegan import cli
from tfcyclegan.config import Size
from tfcyclegan.data.labels import colorize
from tfcyclegan.measures.lab import lab
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from toy_street import render
from toy_street.builder import ID
from toy_street.materials import NUMBER_OF
from toy_street.scene import DAY, DUSK, NIGHT, Scene, make_scene

LIGHTS, PAVINGS = (DAY, DUSK, NIGHT), (0, 1)
LOOKS = tuple(itertools.product(LIGHTS, PAVINGS))
METHODS = ("augmented", "cyclegan")
NOISE = 13
"""Deviation of the control's noise on inputs, levels of 255."""

_SHOWN = 4
"""Number of test scenes in answers.png."""

# As configs/toy_city2labels.cfg. Discriminators without norm see how bright a picture is, which
# instance norm hides from them.
FLAGS = {
    "residual_blocks": 4,
    "base_filters": 16,
    "discriminator_filters": 32,
    "discriminator_norm": "none",
    "upsampling": "resize",
    "learning_rate": 0.0005,
    "ema_decay": 0.998,
    "precision": "float32",
}

Look = tuple[str, int]
Answers = Mapping[str, Sequence[np.ndarray]]
"""Some pictures of each test scene, by its name."""


@dataclasses.dataclass(frozen=True)
class Street:
    """The street of one seed.

    Attributes:
        size: of the pictures.
        seed: of the scenes.
    """

    size: Size
    seed: int

    def scene(self, number: int) -> Scene:
        return make_scene(self.seed, number, night_share=1 / 3, dusk_share=1 / 3)

    def ids(self, number: int) -> np.ndarray:
        """The label map as ids, [H, W]."""
        return render.Rendering(self.scene(number), *self._sides).labels()

    def look(self, number: int, look: Look) -> np.ndarray:
        """The scene in a look, uint8 [H, W, 3]."""
        light, paving = look
        scene = self.scene(number)
        items = [
            item._replace(variant=paving)
            if item.label == ID["road"] and item.material == NUMBER_OF["road"]
            else item
            for item in scene.items
        ]
        rendering = render.Rendering(dataclasses.replace(scene, items=items), *self._sides)
        return rendering.picture(render.a_look(1.0, light), (self.seed, number, 0))

    def own_look(self, number: int) -> Look:
        """The look that the scene was drawn in."""
        return self.scene(number).light, random.Random(f"paving {self.seed} {number}").choice(
            (0, 1)
        )

    @property
    def _sides(self) -> tuple[int, int]:
        return self.size.height, self.size.width


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance in Lab over the pixels of two pictures of one size."""
    return float(np.linalg.norm(lab(one) - lab(other), axis=-1).mean())


def reached(
    answers: Sequence[np.ndarray], looks: Mapping[Look, np.ndarray], road: np.ndarray
) -> set[Look]:
    """The looks that answers to one input reach.

    Args:
        answers: uint8 [H, W, 3] each.
        looks: the scene in all its looks.
        road: where the road is, bool [H, W]; a scene without one has the first paving.
    """
    found = set()
    for answer in answers:
        errors = {look: apart(answer, picture) for look, picture in looks.items()}
        nearest = min(errors, key=lambda look: errors[look])
        others = [
            apart(looks[nearest], picture)
            for look, picture in looks.items()
            if look[0] != nearest[0]
        ]
        if errors[nearest] >= min(others):
            continue
        paving = min(PAVINGS, key=lambda paving: _of_road(answer, looks[nearest[0], paving], road))
        found.add((nearest[0], paving if road.any() else PAVINGS[0]))
    return found


def _of_road(one: np.ndarray, other: np.ndarray, road: np.ndarray) -> float:
    """Distance in Lab of the road's mean colours."""
    if not road.any():
        return 0.0
    means = [lab(picture)[road].mean(axis=0) for picture in (one, other)]
    return float(np.linalg.norm(means[0] - means[1]))


def scores(street: Street, numbers: Sequence[int], answers: Answers) -> dict[str, float]:
    """Means over the test scenes."""
    of_scenes = []
    for number in numbers:
        given = answers[_name(number)]
        looks = {look: street.look(number, look) for look in LOOKS}
        ids = street.ids(number)
        found = reached(given, looks, ids == ID["road"])
        errors = [apart(one, looks[street.own_look(number)]) for one in given]
        pairs = [apart(*pair) for pair in itertools.combinations(given, 2)]
        of_scenes.append(
            {
                "looks": len(found),
                "lights": len({light for light, _ in found}),
                "scenes of 3 looks": len(found) >= 3,
                "best error": min(errors),
                "mean error": np.mean(errors),
                "apart": np.mean(pairs or [0.0]),
            }
        )
    return {name: float(np.mean([one[name] for one in of_scenes])) for name in of_scenes[0]}


def options(method: str, more: str) -> list[str]:
    """The flags of a training, without those of places, sizes and length."""
    own = {"method": method, **FLAGS}
    if method == "cyclegan":
        own["lambda_identity"] = 0  # as in configs/toy_city2labels.cfg
    return [*(f"--{name}={value}" for name, value in own.items()), *shlex.split(more)]


def draw(street: Street, train: int, test: int, place: Path) -> list[int]:
    """Writes the pictures and prepares them; returns the numbers of the test scenes."""
    tests = list(range(1, test + 1))
    of_a, of_b = (range(1 + first, 1 + first + train) for first in (test, test + train))
    written = {"trainA": of_a, "trainB": of_b, "testA": tests, "testB": tests}
    if not (place / "data").exists():
        for folder, numbers in written.items():
            log(f"drawing {len(numbers)} scenes as {folder}")
            (place / "pictures" / folder).mkdir(parents=True, exist_ok=True)
            for number in numbers:
                pixels = (
                    colorize(street.ids(number))
                    if folder.endswith("A")
                    else street.look(number, street.own_look(number))
                )
                _save(place / "pictures" / folder / f"{_name(number)}.png", pixels)
        pictures, data = str(place / "pictures"), str(place / "data")
        folders.run(folders.Config(input_dir=pictures, output_dir=data, name="many_answers"))
    return tests


def _name(number: int) -> str:
    return f"{number:05d}"


def _save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def command(name: str, *words: str) -> None:
    """A command of tfcyclegan; ends this program where it fails."""
    if code := cli.main([name, *words]):
        sys.exit(code)


def translate(run: Path, given: Path, output: Path, *more: str) -> None:
    command("translate", f"--run_dir={run}", f"--input={given}", f"--output={output}", *more)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True, help="of both trainings")
    parser.add_argument("--scenes", type=int, default=800, help="training scenes of each domain")
    parser.add_argument("--test", type=int, default=50, help="test scenes")
    parser.add_argument("--size", type=Size.parse, default=Size(64, 128))
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of scenes, trainings and latents")
    parser.add_argument("--flags", default="", help="further flags of both trainings")
    parser.add_argument("--augmented_flags", default="", help="further flags of augmented")
    given = parser.parse_args()
    place, street = given.directory, Street(given.size, given.seed)
    numbers = draw(street, given.scenes, given.test, place)
    names = [_name(number) for number in numbers]
    inputs = place / "pictures" / "testA"
    rows: dict[str, Answers] = {}
    cpu_seconds: dict[str, float] = {}
    for method in METHODS:
        more = f"{given.flags} {given.augmented_flags if method == 'augmented' else ''}"
        words = [
            *options(method, more),
            *(f"--data_dir={place / 'data'}", f"--run_dir={place / method}"),
            *(f"--load_size={given.size}", f"--crop_size={given.size}"),
            *(f"--max_steps={given.steps}", f"--seed={given.seed}", "--eval_split=train"),
        ]
        started = time.process_time()
        command("train", *words)
        cpu_seconds[method] = round(time.process_time() - started, 1)
        single = place / "answers" / method
        translate(place / method, inputs, single)
        rows[method] = {name: [_read(single / f"{name}.png")] for name in names}
    several = place / "answers" / "augmented_several"
    drawn = f"--samples={given.samples}", f"--seed={given.seed}"
    translate(place / "augmented", inputs, several, *drawn)
    rows["augmented, zero latent"] = rows.pop("augmented")
    rows["augmented"] = _several(several, names, given.samples)
    rows["cyclegan, input noise"] = _of_noise(place, names, given.samples)
    draws = np.random.default_rng((given.seed, 7))
    frames = sorted((place / "pictures" / "trainB").iterdir())
    rows["random frames"] = {
        name: [_read(frames[index]) for index in draws.choice(len(frames), given.samples)]
        for name in names
    }
    _show(place, names[:_SHOWN], rows["augmented"])
    found = {row: scores(street, numbers, answers) for row, answers in rows.items()}
    ratio = found["augmented"]["best error"] / found["cyclegan"]["best error"]
    files.write_json(
        place / "results.json",
        {
            "flags": vars(given) | {"directory": str(place), "size": str(given.size)},
            "CPU seconds of this call": cpu_seconds,
            "rows": found,
        },
    )
    columns = list(found["augmented"])
    print(f"{'':26}" + "".join(f"{column:>20}" for column in columns))
    for row, values in found.items():
        print(f"{row:26}" + "".join(f"{values[column]:20.2f}" for column in columns))
    print(f"looks: of {len(LOOKS)}, lights: of {len(LIGHTS)}; errors and apart: Lab")
    print(f"CPU seconds of training in this call: {cpu_seconds}")
    print(f"best of {given.samples} over CycleGAN's single answer: {ratio:.2f} (goal 0.8)")


def _show(place: Path, names: Sequence[str], answers: Answers) -> None:
    truths = [
        [_read(place / "pictures" / f"test{d}" / f"{name}.png") for d in "AB"] for name in names
    ]
    shown = [[*of_scene, *answers[name]] for of_scene, name in zip(truths, names, strict=True)]
    _save(place / "answers.png", np.concatenate([np.concatenate(row, axis=1) for row in shown]))


def _several(folder: Path, names: Sequence[str], count: int) -> Answers:
    return {
        name: [_read(folder / f"{name}_{number}.png") for number in range(1, count + 1)]
        for name in names
    }


def _of_noise(place: Path, names: Sequence[str], count: int) -> Answers:
    """CycleGAN's answers to inputs with noise."""
    given, made = place / "noisy", place / "answers" / "cyclegan_noisy"
    given.mkdir(exist_ok=True)
    for name in names:
        pixels = _read(place / "pictures" / "testA" / f"{name}.png")
        for number in range(1, count + 1):
            drawn = np.random.default_rng((int(name), number)).normal(0, NOISE, pixels.shape)
            noisy = np.clip(np.rint(pixels + drawn), 0, 255).astype(np.uint8)
            _save(given / f"{name}_{number}.png", noisy)
    translate(place / "cyclegan", given, made)
    return _several(made, names, count)


if __name__ == "__main__":
    main()
