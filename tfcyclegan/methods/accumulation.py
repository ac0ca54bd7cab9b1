"""The gradients of a batch from its small batches, one after another, so that memory holds the
activations of one: the passes of a method, run in a loop before each update.

All losses are means over pictures, so the mean over small batches of one size is that of the whole
batch, and so are the gradients. Random numbers of the passes (noise, samples, augmentation,
dropout) are drawn for each small batch anew, and thus differ from those of the whole batch; pools
see the whole batch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.methods.gradient_parts import Losses

if TYPE_CHECKING:
    from tfcyclegan.methods.base import Method

# Pictures of a small batch -> what is made of them by name, losses by name, gradients.
Pass = Callable[..., tuple[Mapping[str, tf.Tensor], Losses, Sequence[tf.Tensor | None]]]


class Accumulation:
    """The passes of a method in small batches; they have the arguments and results of its own.

    Args:
        method: whose passes are run.
        count: number of small batches.

    Raises:
        UserError: a network has batch norm, which would see the small batches.
    """

    def __init__(self, method: "Method", count: int):
        for name, network in method.networks.items():
            if any("moving_" in variable.path for variable in network.non_trainable_variables):
                raise UserError(
                    f"accumulate_steps: {name} has batch norm, whose mean and variance would be "
                    "those of the small batches; choose another norm"
                )
        self._method, self._count = method, count
        self._index: tf.Tensor | None = None

    def seed(self, seed: tf.Tensor) -> tf.Tensor:
        """A seed of a step as one of the small batch that is being run."""
        if self._index is None:
            return seed
        return tf.random.experimental.stateless_fold_in(seed, self._index)

    def generator_pass(
        self, real_a: tf.Tensor, real_b: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], Losses, tf.Tensor, list[tf.Tensor | None]]:
        def one(*reals: tf.Tensor) -> Any:
            fakes, losses, _, gradients = self._method.generator_pass(*reals)
            return fakes, losses, gradients

        domains = [direction[1] for direction in self._method.directions]
        variables = self._method.generator_variables
        fakes, losses, gradients = self._run(one, variables, domains, real_a, real_b)
        return fakes, losses, tf.add_n(list(losses.values())), gradients

    def discriminator_pass(
        self, reals: Mapping[str, tf.Tensor], fakes: Mapping[str, tf.Tensor]
    ) -> tuple[Losses, tf.Tensor, list[tf.Tensor | None]]:
        def one(*shown: Any) -> Any:
            values, _, gradients = self._method.discriminator_pass(*shown)
            return {}, values, gradients

        variables, judges = self._method.discriminator_variables, self._method.discriminators
        _, values, gradients = self._run(one, variables, [], dict(reals), dict(fakes))
        return values, tf.add_n([values[f"disc_{domain}"] for domain in judges]), gradients

    def paired_pass(
        self, paired_a: tf.Tensor, paired_b: tf.Tensor
    ) -> tuple[Losses, list[tf.Tensor | None]]:
        def one(*pairs: tf.Tensor) -> Any:
            losses, gradients = self._method.paired_pass(*pairs)
            return {}, losses, gradients

        variables = self._method.generator_variables
        _, losses, gradients = self._run(one, variables, [], paired_a, paired_b)
        return losses, gradients

    def _run(
        self, one: Pass, variables: Sequence[keras.Variable], made: Sequence[str], *pictures: Any
    ) -> tuple[dict[str, tf.Tensor], Losses, list[tf.Tensor | None]]:
        """What `one` makes of all pictures, the means of its losses and the sums of its gradients,
        of which `Adam.scale_loss` makes a mean.

        Args:
            one: a pass.
            variables: by which it differentiates.
            made: the names of what it makes of pictures, [B, H, W, C].
            pictures: its arguments, tensors [B, H, W, C] or mappings of them.
        """
        count, kind = self._count, self._method._kind
        divided = tf.nest.map_structure(self._divided, pictures)
        names: list[str] = []
        connected: list[bool] = []
        shapes: dict[str, tf.TensorShape] = {}

        def body(index: tf.Tensor, sums: Any, values: Any, kept: Any) -> tuple[Any, ...]:
            self._index = index
            try:
                given = tf.nest.map_structure(lambda each: each[index], divided)
                makes, losses, gradients = one(*given)
            finally:
                self._index = None
            names[:], connected[:] = losses, [gradient is not None for gradient in gradients]
            shapes.update({name: makes[name].shape for name in made})
            summed = [
                before if gradient is None else before + gradient
                for before, gradient in zip(sums, gradients, strict=True)
            ]
            row = tf.stack([tf.cast(loss, kind) for loss in losses.values()])
            values = values.write(index, row)
            kept = [
                each.write(index, tf.cast(makes[name], kind))
                for each, name in zip(kept, made, strict=True)
            ]
            return index + 1, summed, values, kept

        _, sums, values, kept = tf.while_loop(
            lambda index, *_: index < count,
            body,
            (
                tf.constant(0),
                [tf.zeros(variable.shape, variable.dtype) for variable in variables],
                tf.TensorArray(kind, count),
                [tf.TensorArray(kind, count) for _ in made],
            ),
            parallel_iterations=1,
        )
        means = tf.unstack(tf.reduce_mean(values.stack(), axis=0), len(names))
        gradients = [each if there else None for each, there in zip(sums, connected, strict=True)]
        whole = {
            name: tf.ensure_shape(each.concat(), [shapes[name][0] * count, *shapes[name][1:]])
            for name, each in zip(made, kept, strict=True)
        }
        return whole, dict(zip(names, means, strict=True)), gradients

    def _divided(self, pictures: tf.Tensor) -> tf.Tensor:
        """[B, H, W, C] as [N, B / N, H, W, C]."""
        if pictures.shape[0] is None or pictures.shape[0] % self._count:
            raise UserError(
                f"accumulate_steps: a batch of {pictures.shape[0]} cannot be divided into "
                f"{self._count} small ones of one size"
            )
        sizes = [self._count, pictures.shape[0] // self._count]
        rest = pictures.shape[1:]
        if rest.is_fully_defined():
            return tf.reshape(pictures, [*sizes, *rest])
        return tf.reshape(pictures, tf.concat([sizes, tf.shape(pictures)[1:]], axis=0))
