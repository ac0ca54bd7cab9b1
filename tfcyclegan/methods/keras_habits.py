"""The Keras interface of a method: `fit`, `train_on_batch`, saving and loading of whole models."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.data import arrays
from tfcyclegan.errors import UserError

_FUNCTIONS = ("segment", "pool_draws")
"""Arguments of methods that are functions. All others are kept in attributes of the same names."""
_MEAN = "mean_"


class KerasHabits(keras.Model):
    """The part of `Method` that adapts it to `keras.Model`; `Method` documents the attributes."""

    network_names: tuple[str, ...]
    seed: int
    make_pools: Callable[..., None]
    averages: Mapping[str, keras.Model]

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
            UserError: the arguments have another form.
        """
        if isinstance(x, tf.data.Dataset):
            arrays.check_batches(x)
            batches, sizes = x, batch_size
        else:
            order = self.seed if shuffle else None
            batches = arrays.batches(*arrays.pictures(x, y), batch_size or 1, seed=order)
            y = sizes = None
        spec_a, spec_b = batches.element_spec
        self.make_pools(spec_a.shape[1:], spec_b.shape[1:])
        return super().fit(batches, y, sizes, *args, shuffle=False, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.train_on_batch` of pictures of domain a and of domain b, floats [B, H, W, C]
        in [-1, 1]; makes the pools first.

        Raises:
            UserError: the arguments have another form.
        """
        real_a, real_b = arrays.pictures(x, y)
        self.make_pools(real_a.shape[1:], real_b.shape[1:])
        return super().train_on_batch(real_a, real_b, *args, **kwargs)

    @property
    def means(self) -> list[keras.Variable]:
        """The running means' weights."""
        return [weight for mean in self.averages.values() for weight in mean.weights]

    def test_step(self, *_: Any, **__: Any) -> dict[str, tf.Tensor]:
        raise UserError(
            "validation_data, evaluate: not supported, since a loss on held-out pictures does not "
            "measure translations; use tfcyclegan.evaluate"
        )

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


def _options(method: type[KerasHabits]) -> list[str]:
    """The names of the arguments of a method and its bases, except networks and functions."""
    owners = [owner for owner in method.__mro__ if issubclass(owner, KerasHabits)]
    parameters = [p for o in owners for p in inspect.signature(o.__init__).parameters.values()]
    return sorted({p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {*_FUNCTIONS})
