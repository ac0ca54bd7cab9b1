"""The Keras interface of a method: `fit`, `train_on_batch`, saving and loading of whole models."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.data import arrays
from tfcyclegan.errors import UserError

_FUNCTIONS = ("segment", "pool_draws")
"""Arguments of methods that are functions. All others are kept in attributes of the same names."""
_MEAN = "mean_"
_AFTER_BATCH_SIZE = ("epochs", "verbose", "callbacks", "validation_split", "validation_data")
"""The arguments of `keras.Model.fit` after `batch_size`, in their order."""
_MEASURED = "tfcyclegan.evaluate measures translations"
_NOT_COMPILED = {
    "loss": "losses are arguments of the model, such as gan_mode",
    "loss_weights": "weights are arguments of the model, such as lambda_a",
    "metrics": _MEASURED,
    "weighted_metrics": _MEASURED,
    "steps_per_execution": "only the last of these steps would be in the means of an epoch",
}
_NOT_VALIDATED = (
    "validation_data, evaluate: not supported, since a loss on held-out pictures does not measure "
    "translations; use tfcyclegan.evaluate"
)


class _RunningMeans:
    """The means of the values of all steps since `reset`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._steps, self._sums = 0, dict[str, Any]()

    def add(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Takes the values of a step; returns the means."""
        self._steps += 1
        before = self._sums
        self._sums = {n: before[n] + one if n in before else one for n, one in values.items()}
        return {name: total / self._steps for name, total in self._sums.items()}


class KerasHabits(keras.Model):
    """The part of `Method` that adapts it to `keras.Model`; `Method` documents the attributes."""

    network_names: tuple[str, ...]
    seed: int
    make_pools: Callable[..., None]
    averages: Mapping[str, keras.Model]
    pool_size: int
    pools: Mapping[str, list[Any]]
    generator_optimizer: Any
    discriminator_optimizer: Any
    train_function: Any

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._of_epoch = _RunningMeans()

    def compile(self, **kwargs: Any) -> None:
        """`keras.Model.compile`, without the arguments that would have no effect, or a wrong one.

        Raises:
            UserError: such an argument.
        """
        for name, mend in _NOT_COMPILED.items():
            if (given := kwargs.get(name)) and given != 1:
                raise UserError(f"compile: {name}: has no effect on these models; {mend}")
        super().compile(**kwargs)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        *args: Any,
        shuffle: bool = True,
        **kwargs: Any,
    ) -> Any:
        """`keras.Model.fit`; makes the pools first.

        Args:
            x: a `tf.data.Dataset` of (real_a, real_b) batches, or pictures of domain a, floats [N,
                H, W, C] in [-1, 1].
            y: pictures of domain b in the second case; the smaller domain is repeated within an
                epoch.
            batch_size: number of pictures of each domain; by default 1. A data set has its own.
            args: further arguments of `keras.Model.fit`.
            shuffle: whether each domain is shuffled independently in each epoch.
            kwargs: further keyword arguments of `keras.Model.fit`.

        Raises:
            UserError: the arguments have another form; the pictures' sides do not fit the
                generators or the pools; validation, or a callback that sets the learning rate, is
                asked for.
        """
        _check_options(dict(zip(_AFTER_BATCH_SIZE, args, strict=False)) | kwargs)
        if isinstance(x, tf.data.Dataset):
            arrays.check_batches(x)
            batches, sizes = x, batch_size
        else:
            order = self.seed if shuffle else None
            batches = arrays.batches(*arrays.pictures(x, y), batch_size or 1, seed=order)
            y = sizes = None
        spec_a, spec_b = batches.element_spec
        self._prepare(spec_a.shape[1:], spec_b.shape[1:])
        return super().fit(batches, y, sizes, *args, shuffle=False, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.train_on_batch` of pictures of domain a and of domain b, floats [B, H, W, C]
        in [-1, 1]; makes the pools first.

        Raises:
            UserError: the arguments have another form; the pictures' sides do not fit the
                generators or the pools.
        """
        real_a, real_b = arrays.pictures(x, y)
        self._prepare(real_a.shape[1:], real_b.shape[1:])
        return super().train_on_batch(real_a, real_b, *args, **kwargs)

    def _prepare(self, *shapes: Sequence[int | None]) -> None:
        """Makes the pools for pictures [H, W, C] of a and b; UserError if their sides do not
        fit, or the networks compute in float16 without a scaled loss.
        """
        generators = [getattr(self, n) for n in self.network_names if n.startswith("gen_")]
        multiple = max(generator.size_multiple for generator in generators)
        (high, wide), other = ((height, width) for height, width, _ in shapes)
        sides = f"pictures of {high}x{wide}"
        if any(side is not None and side % multiple for side in (high, wide, *other)):
            raise UserError(
                f"x, y: {sides} and {'x'.join(map(str, other))}: the generators take sides that "
                f"are multiples of {multiple}; crop or resize them"
            )
        if self.pool_size and (high, wide) != other:
            raise UserError(
                f"x, y: {sides} and {'x'.join(map(str, other))}: with an image pool both domains "
                "have one size; crop or resize them, or make the model with pool_size=0"
            )
        in_half = [n for n in self.network_names if getattr(self, n).compute_dtype == "float16"]
        optimizers = self.generator_optimizer, self.discriminator_optimizer
        if in_half and not all(one.dynamic_scale for one in optimizers):
            raise UserError(
                f"compile: {in_half[0]} computes in float16, where small gradients vanish unless "
                "the loss is scaled; give tfcyclegan.Adam(..., dynamic_scale=True) twice"
            )
        self.make_pools(*shapes)
        for pool in (pool for pools in self.pools.values() for pool in pools):
            _, *held, _ = pool.images.shape
            if (high, wide) != tuple(held):
                raise UserError(
                    f"x: {sides}: this model's image pools hold {held[0]}x{held[1]}; crop or "
                    "resize them, or make a new model of the same networks"
                )

    def make_train_function(self, force: bool = False) -> None:
        """Keras' hook. Of a model without metrics Keras reports the last step's values alone; here
        they become means over the steps of the epoch.
        """
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        step, means = self.train_function, self._of_epoch
        self.train_function = lambda iterator: means.add(step(iterator))

    def reset_metrics(self) -> None:
        """Keras' hook at the start of an epoch."""
        super().reset_metrics()
        self._of_epoch.reset()

    @property
    def means(self) -> list[keras.Variable]:
        """The running means' weights."""
        return [weight for mean in self.averages.values() for weight in mean.weights]

    def test_step(self, *_: Any, **__: Any) -> dict[str, tf.Tensor]:
        raise UserError(_NOT_VALIDATED)

    def get_config(self) -> dict[str, Any]:
        """The networks and the options, so that Keras saves and loads the whole model; compile a
        loaded model before training it further.

        Raises:
            UserError: the method also holds a segmenter or teachers.
        """
        taken = inspect.signature(type(self)).parameters
        if getattr(self, "segment", None) is not None or not taken.keys() >= {*self.network_names}:
            raise UserError(
                f"{type(self).__name__}: its segmenter or teachers cannot be saved with it; save "
                "the generators, or only the weights (model.save_weights)"
            )
        networks = {name: getattr(self, name) for name in self.network_names}
        return {
            "name": self.name,
            **{name: keras.saving.serialize_keras_object(n) for name, n in networks.items()},
            **{name: getattr(self, name) for name in _options(type(self))},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "KerasHabits":
        networks = {
            name: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
            for name, value in config.items()
            if isinstance(value, dict)
        }
        return cls(**config | networks)

    def get_compile_config(self) -> None:
        """None: optimizers are not saved."""

    def save_own_variables(self, store: Any) -> None:
        """Keras' hook: the running means too, which it does not see."""
        super().save_own_variables(store)
        for index, weight in enumerate(self.means):
            store[f"{_MEAN}{index}"] = weight

    def load_own_variables(self, store: Any) -> None:
        """The inverse."""
        for index, weight in enumerate(self.means):
            weight.assign(store[f"{_MEAN}{index}"])
        own = (name for name in store.keys() if not name.startswith(_MEAN))  # noqa: SIM118 - no dict
        super().load_own_variables({name: store[name] for name in own})


def _check_options(given: Mapping[str, Any]) -> None:
    """UserError for arguments of `keras.Model.fit` that only fail after an epoch."""
    if given.get("validation_data") is not None or given.get("validation_split"):
        raise UserError(_NOT_VALIDATED)
    one_rate = keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau
    for callback in keras.tree.flatten(given.get("callbacks") or []):
        if isinstance(callback, one_rate):
            raise UserError(
                f"callbacks: {type(callback).__name__} sets the rate of one optimizer, and there "
                "are two; give each a keras.optimizers.schedules schedule as learning_rate"
            )
        if isinstance(callback, keras.callbacks.TerminateOnNaN):
            raise UserError(
                "callbacks: TerminateOnNaN reads a loss that these models do not have; steps that "
                "are not finite are left out: watch `skipped`"
            )


def _options(method: type[KerasHabits]) -> list[str]:
    """The names of the arguments of a method and its bases, except networks and functions."""
    owners = [owner for owner in method.__mro__ if issubclass(owner, KerasHabits)]
    parameters = [p for o in owners for p in inspect.signature(o.__init__).parameters.values()]
    return sorted({p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {*_FUNCTIONS})
