#!/usr/bin/env bash
# Keras' gradient_accumulation_steps together with a learning-rate schedule.
# Guess: a schedule is asked for the number of updates, as optimizer.iterations counts them, so the same training with small batches
# has the same rates.
# Seen (keras 3.15.1): iterations counts updates, weight decay and the running mean of weights follow updates, too, but the schedule is
# asked for the number of small batches. With 4 small batches a rate that should fall over 8 updates is down after 2, and the first
# update has the rate of the fourth.
# Why: learning_rate reads the inner counter of calls, iterations divides it by the number of small batches.
# Who meets it: a training whose batch no longer fits in memory, and which keeps its schedule: it goes on without an error and learns
# almost nothing after a quarter of its length.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 jax==0.10.2 keras==3.15.1
KERAS_BACKEND=jax venv/bin/python - <<'END'
import keras
import numpy as np

UPDATES, SMALL = 8, 4


def rates_of_updates(small: int | None) -> tuple[list[float], int]:
    """The rate of each update of SGD, whose gradient is always 1, and what iterations counts in the end."""
    falling = keras.optimizers.schedules.PolynomialDecay(1.0, decay_steps=UPDATES, end_learning_rate=0.0)
    optimizer = keras.optimizers.SGD(falling, gradient_accumulation_steps=small)
    weight = keras.Variable(np.zeros(1, "float32"))
    optimizer.build([weight])
    places = [0.0]
    for _ in range(UPDATES * (small or 1)):
        optimizer.apply([np.ones(1, "float32")], [weight])
        place = float(np.asarray(weight)[0])
        if place != places[-1]:
            places.append(place)
    return (-np.diff(places)).round(4).tolist(), int(np.asarray(optimizer.iterations))


print("keras", keras.version())
whole, updates = rates_of_updates(None)
print("whole batches: rates", whole, "iterations", updates)
assert whole == [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125] and updates == UPDATES
small, updates = rates_of_updates(SMALL)
print("4 small batches each: rates", small, "iterations", updates)
assert updates == UPDATES, "iterations counts updates"
assert small == [0.625, 0.125], "and the schedule small batches: of 8 updates two move the weight"
END
