"""What reads foreign bytes, tried with damaged ones: an answer or one line, within 10 s and bounded
memory, whatever comes.

Each target has three seconds of processor time here. By hand, 300 s each:
TFCYCLEGAN_FUZZ_SECONDS=300 python -m pytest -n 0 -s tests/test_fuzz.py tests/test_fuzz_server.py
"""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from PIL import Image

from data_prep import street_labels
from tests.conftest import GOLDEN
from tests.fuzzing import changed_json, damaged, fuzz, json_values, one_line, with_right_sums, words
from tests.fuzzing_pictures import MAX_PIXELS, PICTURES, PNGS, encoded
from tests.test_names import make_data
from tests.test_trust import Translator
from tfcyclegan import cli, flags
from tfcyclegan.config import TrainConfig, flag_name
from tfcyclegan.data import images, intake, pages, records
from tfcyclegan.data.picture_folders import picture_name
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.exports import safety_check
from tfcyclegan.networks import make_generator

pytestmark = pytest.mark.filterwarnings("ignore")


def test_pictures():
    def check(content: bytes) -> None:
        try:
            for place in pages.of_bytes(content).places[:2]:
                intake.decode(content, max_pixels=MAX_PIXELS, page=place)
            picture, _ = intake.take(content, "a", max_pixels=MAX_PIXELS)
        except intake.BadPicture as error:
            one_line(error)
        else:
            assert 0 < picture.height * picture.width <= MAX_PIXELS
            assert images.to_array(images.decode(picture.encoded, 3)).shape == (
                picture.height,
                picture.width,
                3,
            )

    repaired = damaged(PNGS).map(with_right_sums)
    fuzz(st.one_of(damaged(PICTURES), repaired, st.binary(max_size=200)), check)


def test_label_maps():
    ids = np.random.default_rng(0).integers(0, 12, (24, 32), np.uint8)

    def labels(picture: Image.Image) -> bytes:
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        return stream.getvalue()

    palette = Image.fromarray(ids)
    palette.putpalette(list(range(36)))
    seeds = (
        labels(Image.fromarray(ids)),
        labels(palette),
        labels(Image.fromarray(ids.astype(np.uint16))),
        encoded("JPEG"),
        *PNGS,
    )

    def check(content: bytes) -> None:
        for label_format in street_labels.FORMATS:
            try:
                assert (
                    street_labels.read_ids(
                        content, label_format=label_format, max_pixels=MAX_PIXELS
                    )[0].mode
                    == "L"
                )
            except intake.BadPicture as error:
                one_line(error)

    fuzz(st.one_of(damaged(seeds), damaged(seeds).map(with_right_sums)), check)


@pytest.fixture
def data(tmp_path) -> Path:
    return make_data(tmp_path / "data", "testA/a.png", "testA/b.png")


def read_all(place: Path) -> None:
    """What every command does with a data set: open it, go over its pictures, name and decode
    them.
    """
    try:
        source = open_source(place)
        for split in source.counts:
            for example in source.examples(split):
                assert not Path(picture_name(example.filename, split)).is_absolute()
                images.decode(example.encoded, 3)
    except (UserError, RunError) as error:
        one_line(error)


def test_shards(data):
    """Bytes of a shard, and records of it with right sums around them."""
    (data / "manifest.json").unlink()  # which would tell of another shard before any is read
    (shard,) = data.glob("*.tfrecord*")
    whole = shard.read_bytes()
    (content,) = [records.serialize(records.Picture(PNGS[0], "png", "testA/a.png", 24, 32))]

    def check(what: tuple[str, bytes]) -> None:
        kind, changed = what
        if kind == "shard":
            shard.write_bytes(changed)
        else:
            with tf.io.TFRecordWriter(str(shard)) as writer:
                writer.write(changed)
                writer.write(content)
        read_all(data)

    strategy = st.one_of(
        damaged([whole]).map(lambda changed: ("shard", changed)),
        damaged([content]).map(lambda changed: ("record", changed)),
    )
    fuzz(strategy, check, fewest=4)


def test_metadata_of_data_sets(data):
    seeds = {
        name: json.loads((data / name).read_text())
        for name in ("dataset_info.json", "features.json", "manifest.json")
    }
    whole = {name: (data / name).read_bytes() for name in seeds}

    def check(what: tuple[str, Any]) -> None:
        name, changed = what
        (data / name).write_bytes(
            changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        )
        read_all(data)
        (data / name).write_bytes(whole[name])

    strategies = [
        changed_json([seed]).map(lambda value, name=name: (name, value))
        for name, seed in seeds.items()
    ]
    strategies += [
        damaged([content]).map(lambda value, name=name: (name, value))
        for name, content in whole.items()
    ]
    fuzz(st.one_of(strategies), check, fewest=4)


def test_flag_files(tmp_path):
    names = [flag_name(name) for name in TrainConfig.__dataclass_fields__.values()]
    path = tmp_path / "a.cfg"
    (tmp_path / "b.cfg").write_text("--flagfile=a.cfg\n")
    values = st.one_of(
        words,
        st.integers().map(str),
        st.floats().map(str),
        st.sampled_from(("", "nan", "1e999", "true", "3x4", "-1", "a.cfg", "b.cfg")),
    )
    flag = st.builds(
        lambda dashes, name, equals, value: f"{dashes}{name}{equals}{value}",
        *(
            st.sampled_from(("--", "-", "", "---", "--no")),
            st.sampled_from([*names, "flagfile", "help", "undefok", ""]) | words,
        ),
        *(st.sampled_from(("=", "=", "=", " ", "", "==")), values),
    )
    text = (
        st.lists(st.one_of(flag, words, st.just("# words")), max_size=6)
        .map("\n".join)
        .map(lambda lines: lines.encode("utf-8", "surrogatepass"))
    )

    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            config = flags.parse(TrainConfig, [f"--flagfile={path}", "--data_dir=d", "--run_dir=r"])
            flags.to_flag_file(config)
        except UserError as error:
            one_line(error)

    lines = damaged([b"# a lab record\n--seed=3\n--crop_size=36\n--noflip\n"])
    fuzz(st.one_of(text, lines, st.binary(max_size=80)), check)


def test_words_of_the_command_line(capsys):
    """Nothing is begun with them: `--help` stands last."""
    names = ["--data_dir", "--run_dir", "--seed", "--crop_size", "--flagfile", "--"]

    def check(arguments: list[str]) -> None:
        assert cli.main(["train", *arguments, "--help"]) == 0
        capsys.readouterr()
        try:
            flags.parse(TrainConfig, arguments)
        except UserError as error:
            one_line(error)

    word = st.one_of(
        words.filter(lambda text: "\0" not in text),
        st.sampled_from(names),
        st.builds("{}={}".format, st.sampled_from(names), words),
    )
    fuzz(st.lists(word, max_size=5), check)


def save_state(state: Any) -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def test_state_dicts_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    from tfcyclegan.interop import official, pytorch

    state = official.save_state_dict(make_generator("resnet_1blocks", base_filters=2))
    whole = {key: torch.from_numpy(value.copy()) for key, value in state.items()}
    keys = sorted(whole)
    path = tmp_path / "a_net_G_A.pth"

    @st.composite
    def changed_state(draw: Any) -> bytes:
        changed: dict[Any, Any] = dict(whole)
        for _ in range(draw(st.integers(1, 3))):
            key, kind = (
                draw(st.sampled_from(keys)),
                draw(st.sampled_from(("rename", "leave out", "shape", "type", "other"))),
            )
            value = changed.pop(key, whole[key])
            if kind == "rename":
                changed[
                    draw(
                        st.one_of(
                            words,
                            st.sampled_from(keys),
                            st.integers(),
                            st.sampled_from(("model.model.0.weight", "net.0.weight")),
                        )
                    )
                ] = value
            elif kind == "shape":
                sides = draw(st.lists(st.sampled_from((0, 1, 2, 3, 7, 100)), max_size=5))
                changed[key] = (
                    torch.zeros(()).expand(sides)
                    if draw(st.booleans())
                    else torch.zeros([min(side, 7) for side in sides])
                )
            elif kind == "type":
                changed[key] = whole[key].to(
                    draw(
                        st.sampled_from(
                            (
                                torch.float16,
                                torch.bfloat16,
                                torch.int8,
                                torch.complex64,
                                torch.bool,
                                torch.float64,
                            )
                        )
                    )
                )
            elif kind == "other":
                changed[key] = draw(json_values)
        return save_state(
            draw(
                st.sampled_from(
                    (changed, changed, changed, list(changed.values()), {"state_dict": changed})
                )
            )
        )

    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            official.make_network(pytorch.read_state_dict(path).state)
        except UserError as error:
            one_line(error)

    fuzz(st.one_of(changed_state(), damaged([save_state(whole)])), check, fewest=6)


def test_models_of_keras(tmp_path):
    from tfcyclegan.interop import tfa

    path = tmp_path / "a.h5"
    with h5py.File(GOLDEN / "tfa_generator.h5") as file:
        config = json.loads(file.attrs["model_config"])
    whole = (GOLDEN / "tfa_generator.h5").read_bytes()
    beginning = damaged([whole[:4096]]).map(lambda head: head + whole[4096:])

    def check(content: Any) -> None:
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copy(GOLDEN / "tfa_generator.h5", path)
            with h5py.File(path, "r+") as file:
                file.attrs["model_config"] = json.dumps(content)
        try:
            tfa.read_generator(path)
        except UserError as error:
            one_line(error)

    fuzz(st.one_of(changed_json([config]), damaged([whole]), beginning), check, fewest=3)


def test_saved_models_before_they_are_loaded(tmp_path):
    """The look into a SavedModel; what TensorFlow makes of one that passes is not tried: its C++
    may end the process.
    """
    small = Translator(
        lambda images: tf.cond(tf.size(images) > 9, lambda: images * 2, lambda: tf.nn.relu(images))
    )
    tf.saved_model.save(small, str(tmp_path / "model"), signatures={"tensor": small.tensor})
    whole = (tmp_path / "model" / "saved_model.pb").read_bytes()

    def check(content: bytes) -> None:
        (tmp_path / "saved_model.pb").write_bytes(content)
        try:
            safety_check.require_computing_alone(tmp_path)
        except ValueError as error:
            one_line(error)

    fuzz(st.one_of(damaged([whole]), st.binary(max_size=80)), check)
