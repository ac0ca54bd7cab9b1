"""A generator from or to label maps that sees them as classes, one channel each."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tfcyclegan.data.label_coding import LabelCoding
from tfcyclegan.networks.generators import Generator, logits
from tfcyclegan.networks.layers import name_and_dtype
from tfcyclegan.networks.operations import Operations


@keras.saving.register_keras_serializable("tfcyclegan")
class LabelGenerator(Generator):
    """Pictures in, pictures out, like any generator; the network inside has a channel for each
    class where a side is label maps. What uses a trained generator needs to know nothing of it.

    Args:
        network: inside, made with the numbers of channels of the codings. Where the target is label
            maps it gives logits from now on, without a tanh.
        source: `LabelCoding.to_json` of the input, or None where it is pictures.
        target: likewise of the output.
        name: of the generator.
        dtype: that of `network`.
    """

    def __init__(
        self,
        *,
        network: Generator,
        source: Mapping[str, Any] | None = None,
        target: Mapping[str, Any] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        channels = {"in_channels": 3} if source else {}
        channels |= {"out_channels": 3} if target else {}
        super().__init__(network.settings | channels, name, dtype or network.dtype_policy)
        self.source_coding = LabelCoding.from_json(source) if source else None
        self.target_coding = LabelCoding.from_json(target) if target else None
        self._network = network
        if target:
            network.ends_in = logits
        self.size_multiple = network.size_multiple
        self.built = True

    def inner(self) -> Generator:
        return self._network

    def get_config(self) -> dict[str, Any]:
        return {
            "network": keras.saving.serialize_keras_object(self._network),
            "source": self.source_coding and self.source_coding.to_json(),
            "target": self.target_coding and self.target_coding.to_json(),
            **name_and_dtype(self),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], **_: Any) -> "LabelGenerator":
        """Of `get_config`; further settings, such as `tflite_ops`, are those of the network
        inside.
        """
        own = {name: config[name] for name in ("source", "target", "name", "dtype")}
        inside = {key: value for key, value in config.items() if key not in (*own, "network")}
        stored = config["network"]
        network = stored | {"config": stored["config"] | inside}
        return cls(network=keras.saving.deserialize_keras_object(network), **own)

    def compute(self, x: Any, apply: Operations) -> Any:
        if self.source_coding:
            x = apply.encode(self.source_coding, x)
        x = self._network.compute(x, apply)
        return apply.decode(self.target_coding, x) if self.target_coding else x

    def official_layers(self) -> list[tuple[str, keras.layers.Layer | None]]:
        return self._network.official_layers()

    def feature_channels(self, layers: Sequence[int]) -> list[int]:
        return self._network.feature_channels(layers)
