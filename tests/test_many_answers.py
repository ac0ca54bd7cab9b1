"""What benchmarks.many_answers counts, by pictures with known answers, and its trainings."""

import numpy as np
import pytest

from benchmarks import many_answers
from benchmarks.many_answers import DAY, DUSK, LOOKS, METHODS, NIGHT, Street
from tfcyclegan import flags
from tfcyclegan.config import Size, TrainConfig

ROAD = np.arange(8)[:, np.newaxis].repeat(8, 1) >= 4


def looks() -> dict[many_answers.Look, np.ndarray]:
    """Bright, middle and dark; the roads a little brighter or not."""
    made = {}
    for light, paving in LOOKS:
        level = {DAY: 200, DUSK: 120, NIGHT: 40}[light]
        made[light, paving] = np.full((8, 8, 3), level, np.uint8)
        made[light, paving][ROAD] += np.uint8(12 * paving)
    return made


def test_a_look_is_reached_by_an_answer_near_it():
    known = looks()
    near = known[DAY, 1] - np.uint8(3)
    found = many_answers.reached([near, known[NIGHT, 0], near], known, ROAD)
    assert found == {(DAY, 1), (NIGHT, 0)}
    assert many_answers.reached([near], known, ~ROAD & ROAD) == {(DAY, 0)}, "no road"


def test_a_picture_like_none_of_them_reaches_none():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    assert many_answers.reached([red], looks(), ROAD) == set()


def test_the_street_has_six_looks_of_one_label_map():
    street = Street(Size(32, 64), 0)
    drawn = {look: street.look(1, look) for look in LOOKS}
    assert all(picture.shape == (32, 64, 3) for picture in drawn.values())
    assert many_answers.apart(drawn[DAY, 0], drawn[NIGHT, 0]) > 20
    road = street.ids(1) == many_answers.ID["road"]
    assert road.mean() > 0.1
    assert many_answers.apart(drawn[DAY, 0], drawn[DAY, 1]) > 0.5
    own = [street.own_look(number) for number in range(60)]
    assert set(own) == set(LOOKS)
    answers = {"00001": [drawn[DAY, 0], drawn[DUSK, 1]]}
    found = many_answers.scores(street, [1], answers)
    assert (found["looks"], found["lights"], found["scenes of 3 looks"]) == (2, 2, 0)
    errors = [many_answers.apart(one, drawn[street.own_look(1)]) for one in answers["00001"]]
    assert found["best error"] == min(errors) and found["mean error"] == np.mean(errors)


@pytest.mark.parametrize("method", METHODS)
def test_its_trainings_are_ones_that_train_takes(method):
    words = [*many_answers.options(method, ""), "--data_dir=d", "--run_dir=r", "--max_steps=5"]
    config = flags.parse(TrainConfig, words)
    assert (config.method, config.discriminator_norm) == (method, "none")
