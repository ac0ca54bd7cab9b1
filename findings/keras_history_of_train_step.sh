#!/usr/bin/env bash
# What Keras' History, EarlyStopping and progress bar hold for a model whose own train_step returns a dict of losses, as GAN examples do.
# Guess: the mean over the steps of the epoch, as for the loss of a compiled model.
# Seen (Keras 3.15.1 on TensorFlow 2.21.0): the value of the epoch's last step alone; with steps_per_execution=4 too. The loss of a compiled
# model beside it, of the same values, is the mean.
# Why: Keras averages only what passes through metrics. Values that train_step returns by itself are logs of a step, and if the model has no
# metric the last logs become those of the epoch.
# Who meets it: everyone whose generator and discriminator losses are plain tensors: curves are noise of one batch, EarlyStopping and
# ModelCheckpoint choose by it. A keras.metrics.Mean for each loss, listed in the property metrics, mends it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile tensorflow-cpu==2.21.0 keras==3.15.1
cat > history.py <<'END_PYTHON'
import keras
import numpy as np
import tensorflow as tf

values = np.arange(1.0, 9.0, dtype="float32")  # the loss of each of 8 steps
data = tf.data.Dataset.from_tensor_slices(values[:, None]).batch(1)


class Plain(keras.Model):
    def train_step(self, data):
        return {"G_loss": tf.reduce_mean(data)}


class WithMetric(keras.Model):
    def __init__(self):
        super().__init__()
        self.mean = keras.metrics.Mean(name="G_loss")

    @property
    def metrics(self):
        return [self.mean]

    def train_step(self, data):
        self.mean.update_state(tf.reduce_mean(data))
        return {"G_loss": self.mean.result()}


def history(model, **options):
    model.compile(**options)
    seen = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(float(logs["G_loss"])))
    held = model.fit(data, epochs=2, verbose=0, callbacks=[note]).history["G_loss"]
    assert seen == [float(value) for value in held]
    return seen


plain, several, mean = history(Plain()), history(Plain(), steps_per_execution=4), history(WithMetric())
compiled = keras.Sequential([keras.layers.Identity()])
compiled.compile(loss=lambda true, made: made, optimizer="sgd")
loss = compiled.fit(values[:, None], values[:, None], batch_size=1, verbose=0).history["loss"][0]
print("Keras", keras.__version__, "TensorFlow", tf.__version__, "plain", plain, "4 steps a call", several, "metric", mean, "compiled", loss)
assert plain == several == [8.0, 8.0] and mean == [4.5, 4.5] and abs(loss - 4.5) < 1e-6
END_PYTHON
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES= venv/bin/python history.py
