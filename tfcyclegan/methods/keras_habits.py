"""A method as Keras' users have a model: saved and loaded whole, and what is not evaluated."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError

_FUNCTIONS = ("segment", "pool_draws")
"""Arguments of methods that are functions. All others are kept in attributes of the same names."""
_MEAN = "mean_"


class KerasHabits(keras.Model):
    """What `Method` adds to `keras.Model` for Keras' sake alone; its attributes are told there."""

    network_names: tuple[str, ...]
    averages: Mapping[str, keras.Model]

    @property
    def means(self) -> list[keras.Variable]:
        """The running means' weights."""
        return [weight for mean in self.averages.values() for weight in mean.weights]

    def test_step(self, *_: Any, **__: Any) -> dict[str, tf.Tensor]:
        raise UserError(
            "validation_data, evaluate: a loss on held-out pictures does not say how good "
            "translations are; tfcyclegan.evaluate scores them"
        )

    def get_config(self) -> dict[str, Any]:
        """The networks and the options, so that Keras saves and loads the whole model; compile what
        is loaded to train it on.

        Raises:
            UserError: a method that is made of more than these: a segmenter, or teachers.
        """
        taken = inspect.signature(type(self)).parameters
        if getattr(self, "segment", None) is not None or not taken.keys() >= {*self.network_names}:
            raise UserError(
                f"{type(self).__name__}: its segmenter or teachers are not saved with it; save the "
                "generators, or the weights alone (model.save_weights)"
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
        """None: what is saved has no optimizers."""

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
    """The names of the arguments of a method and of what it derives from that are no networks and
    no functions.
    """
    owners = [owner for owner in method.__mro__ if issubclass(owner, KerasHabits)]
    parameters = [p for o in owners for p in inspect.signature(o.__init__).parameters.values()]
    return sorted({p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {*_FUNCTIONS})
