"""What every reader leaves out and what every default assumes, as one table: inputs, and what must
be said of them and where it stands.

Whatever is not used of what was given is named and counted where it happens, and stands in a file;
what would change the meaning of a picture is refused; what is guessed is told, with the flag that
decides. A command runs once for all of its lines.
"""

import asyncio
import base64
import contextlib
import functools
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import silent_inputs as given
from tests import silent_medical
from tests.silent_cases import Case, Line, bad, done, refused, tells, unused
from tests.silent_inputs import Maker
from tests.test_names import NEGATIVE

FOLDERS = "data_prep.folders --input_dir={i} --output_dir={o}"
OWN_LABELS = f"{FOLDERS} --classes={{i}}/../classes.csv"
BY_FLAGS = f"{FOLDERS} --pages=first --alpha=drop --extra_bands=drop --max_value=4095"
BAD = f"{FOLDERS} --max_bad=99"
GTA5 = "data_prep.gta5 --input_dir={i} --output_dir={o}"
CITY = "data_prep.cityscapes --input_dir={i} --output_dir={o} --content=photos_and_labels"
TRAIN = (
    "train --base_filters=4 --residual_blocks=1 --discriminator_filters=4 "
    "--discriminator_layers=1 --load_size=16 --crop_size=16 "
    "--max_steps=2 --precision=float32 --sample_images=1 --eval_every_epochs=0"
)
SHARED_RUN = (
    f"{TRAIN} --data_dir={{s}}/data --run_dir={{s}}/run --step_epochs=3 "
    "--lambda_identity=0.5 --lambda_identity=0.1"
)
EXPORT = "export --run_dir={s}/run --tflite_size=32"
SHARED_MODEL = f"{EXPORT} --output={{s}}/model"
BY_RUN = "translate --run_dir={s}/run --output={o}"
BY_MODEL = "translate --model={s}/model --output={o}"
BY_TFLITE = "translate --model={s}/model/1/float32.tflite --output={o}"
IMPORT = "import_weights --from=pytorch --output={o}"
SCORE = "evaluate --features=none --output={o}"
MANIFEST, TRANSLATION, METRICS, CONFIG = (
    f"{{o}}/{name}.json" for name in ("manifest", "translation", "metrics", "config")
)

# TFDS's first configuration is in tests/test_foreign_data.py, since it takes a catalogue.
# fmt: off
PICTURES = [  # of data_prep and translate alike
    done("16 bit", "16 bit, scaled to 8", 3),
    done("CMYK", "CMYK, made RGB by plain formulas", 1),
    done("pages and frames", "one of several pages or frames of its file", 6),
    done("alpha", "transparent, laid on white", 1),
    done("EXIF turn", "turned upright, as its orientation tag says", 1),
    unused("MPO", "previews, gain maps or other views behind the picture (MPO)", 1),
    unused("BMP", "the fourth byte of each pixel of a BMP, which the format calls unused", 1),
    unused("ICC profile", "a colour profile other than sRGB, which is not applied", 1),
    unused("gamma", "a gamma other than that of sRGB, which is not applied", 1),
    unused("HDR", "high dynamic range (PQ or HLG), which is not applied", 1),
]
CASES = [
    Case(given.pictures, FOLDERS, MANIFEST, [
        *PICTURES,
        Line("dim values", "16-bit values end at 4000 of 65535, so pictures become dark; --max_value", "largest_value", '"trainA": 4000'),
        unused("other endings", ".heic files", 1),
        unused("archives", ".zip files", 1),
        unused("no ending", "files without an extension", 1),
        unused("hidden files", "hidden files and folders", 3),
        unused("folders beside", "files in trainC/", 1),
        Line("equal names", "0.jpg and 0.png have the same name (1 such names); translate and evaluate refuse them"),
    ]),
    Case(given.pictures, f"{BY_RUN} --input={{i}}/trainA", TRANSLATION, [
        *PICTURES,
        Line("dim values", "16-bit values end at 4000", "largest_value", "4000"),
        Line("other endings", "a.heic and 4 more (1 .dcm, 1 .heic, 1 .npy, 1 .zip, 1 files without", "left_out", '".npy files": 1'),
        done("colours", "gray pictures shown in colour", 2),
    ]),
    Case(given.refused, BAD, "{o}/quarantine.jsonl", [
        bad("nir.tif", "4 bands, of which 1 is neither colour nor transparency; --extra_bands=drop leaves them out"),
        bad("two.tif", "2 bands, of which 1 is neither colour nor transparency"),
        bad("float.tif", "have no known range; save it with unsigned 8 or 16 bits"),
        bad("signed.tif", "have no known range; save it with unsigned 8 or 16 bits"),
        bad("ink.jpg", "a CMYK JPEG without Adobe's marker"),
        bad("nothing.png", "transparent everywhere, so all would be white; --alpha=drop uses its colours"),
        bad("empty.png", "the file is empty"),
        bad("words.png", "text, not a picture"),
        bad("scan.png", "a DICOM file, which cannot be read here"),
        bad("phone.jpg", "a HEIC picture"),
        bad("cut.png", "damaged"),
        bad("several.pgm", "several pictures in one file; save each as a file"),
    ]),
    refused("bad pictures", given.refused, f"{BY_RUN} --input={{i}}/trainA", "12 of 15 pictures could not be read; the others are in"),
    refused("equal names", given.pictures, f"{BY_RUN} --input={{i}}/trainB", "two pictures are called 0 (0.jpg and 0.png); rename one"),
    Case(given.by_flags, BY_FLAGS, MANIFEST, [
        unused("--pages=first", "frames or pages behind the first", 1, "; --pages=all uses them all"),
        unused("--alpha=drop", "transparency", 1, "; --alpha=white composites it onto white"),
        unused("--extra_bands=drop", "1 of 4 bands, neither colour nor transparency", 1),
    ]),
    refused(
        "--alpha=refuse", given.by_flags, f"{FOLDERS} --alpha=refuse --extra_bands=drop",
        "trainA/clear.png: has transparency; --alpha=white composites it onto white",
    ),
    refused(
        "--max_value", given.by_flags, f"{FOLDERS} --max_value=1023 --extra_bands=drop",
        "trainA/deep.png: has the value 4095, above --max_value=1023",
    ),
    Case(given.by_flags, f"{BY_RUN} --input={{i}}/trainA/clear.png --alpha=keep", TRANSLATION, [
        Line("--alpha=keep", "transparent, laid on white for the network; the result has its transparency: 1", "alpha", "keep"),
    ]),
    Case(given.label_maps, FOLDERS, MANIFEST, [
        Line("label maps", "domain B is read as label maps, a guess from its 3 colours"),
        done("label maps", "label map, resized by nearest pixels alone", 3),
        Line("label maps", "--label_maps_b=false reads it as pictures; --classes=FILE.csv gives them names"),
    ]),
    tells("ids as label maps", given.id_maps, FOLDERS, "domain B is nearly black; if its values are class ids, --classes=FILE.csv draws them"),
    tells(
        "JPEG label maps", given.lossy_maps, FOLDERS,
        "domain B looks like label maps saved as JPEG, but is read as pictures; if it is label "
        "maps: --label_maps_b",
    ),
    Case(given.own_labels, OWN_LABELS, MANIFEST, [
        Line("own labels", "labels of 3 of 3 pictures of trainA, by equal names"),
        Line("own labels", "1 labels without a picture are left out, such as 7.png", "left_out", '"labels without a picture": 1'),
        done("own labels", "label read by its ids", 2),
        unused("opacity of labels", "label's opacity", 1),
        Line("label endings", "trainA_labels: not used: notes.txt (1 .txt)", "left_out", '".txt files": 1'),
    ]),
    refused(
        "unknown labels", given.strange_labels, OWN_LABELS,
        "as colours: colours outside the table: #191919, #232323; --unknown_labels=ignored or "
        "nearest accepts them",
    ),
    refused("labels without a table", given.own_labels, FOLDERS, "labels need a table of their classes: --classes=FILE.csv"),
    Case(given.street, GTA5, MANIFEST, [
        Line("street, hidden", "images: skipped, hidden files and folders: 1", "left_out", '"hidden files and folders": 2'),
        Line("street, label endings", "label files that are not PNG: labels/note.txt", "left_out", '"label files that are not PNG": 1'),
        Line("street, orphans", "skipped, labels without an image: labels/99.png", "left_out", '"labels without an image": 1'),
        Line("street, folders", "skipped, not read by this command: depth", "left_out", '"not read by this command": 1'),
        Line("split.mat", "1 frames of split.mat are not in images/", "left_out", '"frames of split.mat that are not in images/": 1'),
        Line("split.mat", "skipped, not in split.mat: images/00012.png", "left_out", '"not in split.mat": 1'),
        Line("label format", "11 of 11 labels looked at: label read as class ids: 11", "labels", '"label read as class ids": 11'),
    ]),
    refused("16-bit colour labels", given.deep_street, GTA5, "16-bit colours outside the Cityscapes table"),
    refused("train ids", given.trained_ids, GTA5, "look like train ids; choose --label_format=train_ids, or --label_format=ids to read them as ids"),
    Case(given.city, CITY, MANIFEST, [
        Line("Cityscapes", "files beside the label that is read: gtFine", "left_out", '"files beside the label that is read": 18'),
        Line("Cityscapes", "skipped, splits that are not read: leftImg8bit/test", "left_out", '"splits that are not read": 2'),
    ]),
    Case(given.foreign, f"{BY_RUN} --data_dir={{i}}/data", TRANSLATION, [
        Line("TFDS features", "data: not used: feature 'label'; its pictures are", "left_out", "\"feature 'label'\": 6"),
        Line("TFDS splits", "data: splits that are not read: validation (1); splits must be called train, val and test"),
        done("TFDS alpha", "transparent, laid on white", 1),
    ]),
    Case(given.foreign, "translate --run_dir={s}/run --output_data={o} --data_dir={i}/data", MANIFEST, [
        done("TFDS alpha", "transparent, laid on white", 1),
    ]),
    Case(given.foreign, f"{TRAIN} --data_dir={{i}}/data --run_dir={{o}}", CONFIG, [
        Line("TFDS in training", "split trainA: transparent, laid on white: 1", "told", "domain a: transparent, laid on white: 1"),
        Line("TFDS in training", "not used: feature 'label'", "told", "domain a: not used, feature 'label': 6"),
        Line("constant sets", "split trainB: warning: 100.0 % of its values are 3", "told", "domain b: warning: 100.0 % of its values"),
    ]),
    refused(
        "a later format", given.later, f"{BY_RUN} --data_dir={{i}}/data",
        "manifest.json: has format 99 of a later tfcyclegan; this version reads up to",
    ),
    refused(
        "a later "
        "format", given.later, "translate --run_dir={i}/run --data_dir={s}/data --output={o}",
        "config.json: has format 99 of a later tfcyclegan",
    ),
    refused(
        "unknown "
        "options", given.later, "translate --run_dir={i}/odd --data_dir={s}/data --output={o}",
        "has options that this version does not know (zoom); install a newer one",
    ),
    Case(given.nothing, SHARED_RUN, "{s}/run/config.json", [
        Line("flags without effect", "--step_epochs=3: has no effect; needs --schedule=step", "told"),
        Line("flags given twice", "command line: --lambda_identity is given 2 times; the last one counts"),
        Line("length", "2 steps at a constant learning rate: only --max_steps is given", "told"),
        Line("enlarged", "domain a: enlarged pictures: 1 of 3 (--load_size changes this)", "told"),
        Line("reshaped", "domain b: pictures whose shape changes: 1 of 6 (the ratio of sides up to x2.00", "told"),
        Line("recoloured", "domain a: gray pictures shown in colour: 1 of 3 (--channels_a=1 keeps them gray)", "told"),
        Line("unequal counts", "an epoch is 6 images, as many as domain b has", "told"),
        Line("constant pictures", "split trainA: 1 of 3 pictures have a single colour", "told", "domain a: 1 of 3 pictures have a single colour"),
    ]),
    tells(
        "flags given "
        "twice", given.flag_file, f"{BY_RUN} --data_dir={{s}}/data --flagfile={{i}}/a.cfg",
        "a.cfg: --scale is given 2 times; the last one counts",
    ),
    refused("unknown flags", given.flag_file, f"{BY_RUN} --data_dir={{s}}/data --flagfile={{i}}/b.cfg", "--zoom: no such flag"),
    refused(
        "more pictures", given.grown, f"{TRAIN} --data_dir={{i}}/data --run_dir={{s}}/run",
        "is not the data that the run was started with; to start a new run from its weights, use "
        "--init_from",
    ),
    Case(given.nothing, f"{BY_RUN} --data_dir={{s}}/data", TRANSLATION, [
        Line("direction", "run: translates ab with checkpoint step-2, the latest; --direction=ba is the other direction", "direction", "ab"),
        Line("scale", "translated at resize_and_crop 16, as in its training; --scale=original keeps their sizes", "scale", "resize_and_crop 16"),
        Line("split", "data: translating split testA, since --direction=ab starts from domain A"),
    ]),
    tells(
        "split", given.nothing, f"{BY_RUN} --data_dir={{s}}/data --direction=ba",
        "data: translating split testB, since --direction=ba starts from domain B",
    ),
    refused(
        "split", given.nothing, f"{BY_RUN} --data_dir={{s}}/data --split=testB",
        "--split=testB: is of domain B, but --direction=ab starts from domain A",
    ),
    Case(given.best_apart, "translate --run_dir={i}/run --data_dir={s}/data --output={o}", TRANSLATION, [
        Line("checkpoint", "step-2, the latest; step-0 measured best; --checkpoint=best uses it", "checkpoint", "step-2"),
    ]),
    tells(
        "val as test", given.val_alone, f"{BY_RUN} --data_dir={{i}}/data",
        "split valA: serves as the test split of domain a, which has none",
    ),
    tells(
        "input of the other domain", given.large, f"{BY_RUN} --input={{i}}/testB",
        "named like domain B, but --direction=ab starts from domain A; check that this is intended",
    ),
    tells(
        "model", given.large, f"{BY_MODEL} --input={{i}}",
        "a to b of pictures (direction ab); 3 channels to 3; pictures keep their "
        "sizes; trained at",
    ),
    tells(
        "unknown "
        "model", given.unnamed_model, "translate --model={i}/model --input={i}/testB --output={o}",
        "domains unknown: no metadata.json beside it names them",
    ),
    refused(
        "direction of a model", given.large, f"{BY_MODEL} --input={{i}} --direction=ba",
        "only translates ab; leave --direction out, or export the other direction",
    ),
    refused(
        "checkpoint of a model", given.large, f"{BY_MODEL} --input={{i}} --checkpoint=best",
        "--checkpoint=best: requires --run_dir; an exported model has the weights of one "
        "checkpoint",
    ),
    refused(
        "size of a .tflite", given.large, f"{BY_TFLITE} --input={{i}}",
        "only takes pictures of 32x32, not 24x40; give --scale=fit, or export --tflite_size=24x40",
    ),
    Case(given.large, f"{BY_TFLITE} --input={{i}} --scale=fit", TRANSLATION, [
        Line("--scale=fit", "pictures of other sizes are resized to 32 and their translations back", "scale", "fit 32"),
    ]),
    Case(given.nothing, SHARED_MODEL, "{s}/model/1/metadata.json", [
        Line("checkpoint of an export", "weights of step-2, the latest; the TFLite files only take pictures of 32x32", "checkpoint", "step-2"),
        Line("scale of an export", "; training resized them (resize_and_crop 16)", "trained_at", "resize_and_crop 16"),
    ]),
    refused(
        "direction of an export", given.model_ahead, f"{EXPORT} --output={{i}}/model",
        "its version 1 is another model (direction ba there, ab here); servers use the newest",
    ),
    Case(given.nothing, f"{SCORE} --run_dir={{s}}/run --split=val --pairs=none", METRICS, [
        Line("pairs", "no true pictures: --pairs=none excludes them", "directions", '"basis": "none"'),
        Line("one direction", "direction: only this one is scored; --direction=both scores the other as well", "directions"),
        Line("scale of scores", "scale: resize_and_crop 16, to which training resized whole pictures", "directions"),
    ]),
    Case(given.translations, f"{SCORE} --translations={{i}} --data_dir={{s}}/data", METRICS, [
        Line("unrelated pairs", "names are equal, but the pictures are not more similar than random pairs", "directions"),
        Line("official names", "pictures whose names end in _fake_B, a guess from the official program's names;", "directions"),
        Line("other files", "8 files skipped (6 _real_A, 1 that are not pictures by their extensions, 1 hidden", "directions"),
        Line("palette", "a palette of at most 256 colours, read as its colours: 1 picture", "directions"),
        Line("16-bit translations", "16 bit, scaled to 8: 1 picture", "directions"),
        Line("JPEG translations", "1 of 6 are JPEG, whose compression artefacts affect every score", "directions"),
    ]),
    Case(given.weights, f"{IMPORT} --weights={{i}}/checkpoint.pth", "{o}/imported.json", [
        Line("a nested state dict", "done: gen_ab: taken from the checkpoint's 'state_dict': 16", "conversions", "'state_dict'\": 16"),
        Line("other entries", "not used: gen_ab: the checkpoint's 'epoch': 1", "left_out", "'epoch'\": 1"),
        Line("network", "read as gen_ab, a guess, since its name does not end like latest_net_G_A.pth; --network selects another"),
    ]),
    Case(given.weights, f"{IMPORT} --weights={{i}}/checkpoint.pth", CONFIG, [
        Line("size", "pictures are translated at 256x256, a guess, since weights contain no size", "told"),
    ]),
    Case(given.weights, f"{IMPORT} --weights={{i}}/folder", "{o}/imported.json", [
        Line("other files", "not used: other files and folders (loss_log.txt): 1", "left_out", '(loss_log.txt)": 1'),
        Line("other weights", "not used: other .pth files (5_net_G_A.pth): 1", "left_out", '"other .pth files (5_net_G_A.pth)": 1'),
    ]),
    refused(
        "network of a folder", given.weights, f"{IMPORT} --weights={{i}}/folder --network=gen_ba",
        "--network=gen_ba: only for a single file",
    ),
    refused("CUT", given.weights, f"{IMPORT} --weights={{i}}/cut.pth", "of another blur: model.7.filt"),
    refused(
        "a whole model", given.weights, f"{IMPORT} --weights={{i}}/whole.pth",
        "a whole pickled model or other objects (tests.test_foreign_weights.Whole); none of it was "
        "run",
    ),
    Case(given.keras_weights, "import_weights --from=tfa --weights={i}/a.h5 --output={o}", "{o}/imported.json", [
        Line("Keras 2", "not used: the optimizer's weights: 1", "left_out", "\"the optimizer's weights\": 1"),
        Line("network of Keras 2", "a.h5: read as gen_ab, a guess; --network selects another"),
    ]),
    *silent_medical.CASES,
]
# fmt: on


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Callable[[Case], tuple[int, str, str, str]]:
    """What a case gives: its exit code, all that it said, its standard error, and the text of its
    file. Cases run once.
    """
    root = tmp_path_factory.mktemp("silent")
    shared = root / "shared"
    given.training(shared, shared)
    inputs: dict[Maker, Path] = {}

    def place(maker: Maker) -> Path:
        if maker not in inputs:
            inputs[maker] = root / maker.__name__ / "in"
            maker(inputs[maker], shared)
        return inputs[maker]

    @functools.cache
    def ran(maker: Maker, command: str) -> tuple[int, str, str, Path]:
        output = root / f"out{ran.cache_info().currsize}"
        arguments = shlex.split(command.format(i=place(maker), o=output, s=shared))
        said, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
            code = given.run(*arguments)
        return code, said.getvalue(), errors.getvalue(), output

    def tell(case: Case) -> tuple[int, str, str, str]:
        if "{s}/run" in case.command and case.command != SHARED_RUN:
            ran(given.nothing, SHARED_RUN)
        if "{s}/model" in case.command or case.input in (given.model_ahead, given.unnamed_model):
            ran(given.nothing, SHARED_RUN), ran(given.nothing, SHARED_MODEL)
        code, said, errors, output = ran(case.input, case.command)
        file = Path(case.file.format(o=output, s=shared)) if case.file else None
        return code, said, errors, file.read_text() if file else ""

    return tell


@pytest.mark.parametrize(
    "case, line",
    [
        pytest.param(case, line, id=f"{case.command.split()[0]}-{line.about}")
        for case in CASES
        for line in case.lines
    ],
)
def test_it_is_told(told, case, line):
    code, said, errors, text = told(case)
    assert (code, "Traceback" in errors) == (case.code, False), errors
    assert line.said in said + errors
    if code:
        assert errors.count("\n") == 1 or "%" in errors, "one line, behind that of the progress"
    if line.key:
        assert (line.stands or line.said) in json.dumps(json.loads(text)[line.key])
    elif line.stands:
        assert line.stands in text


@pytest.mark.parametrize(
    "about, content, said",
    [
        ("alpha", given.RGBA, "transparent, laid on white: 1 picture"),
        ("16 bit", given.DEEP, "16-bit values end at 4000 of 65535, so pictures become dark"),
        ("gray", given.DEEP, "gray pictures shown in colour: 1 picture"),
        (
            "MPO",
            given.VIEWS,
            "not used, previews, gain maps or other views behind the picture (MPO): 1",
        ),
        (
            "pages",
            given.STACK,
            "400: instances[0]: several pages or frames; send each as a separate picture",
        ),
        (
            "bands",
            given.FOUR_BANDS,
            "400: instances[0]: 4 bands, of which 1 is neither colour nor transparency",
        ),
        ("nothing to tell", given.PLAIN, ""),
    ],
)
def test_requests_tell_it(about, content, said):
    """The header of an answer of REST, and the parameter of the second protocol's; or a refusal."""
    pytest.importorskip("kserve")
    from kserve import InferInput, InferRequest

    from tfcyclegan.config import Limits
    from tfcyclegan.serving import messages, model, server  # noqa: F401 - the last keeps KServe from reading the command line
    from tfcyclegan.serving.refusal import Refused

    async def batcher(pictures):
        return list(pictures)

    limits = Limits(max_pixels=10**6)
    served = model.ServedModel(model.Exported("mine", "1", NEGATIVE), batcher, limits)
    body = {"instances": [{"b64": base64.b64encode(content).decode()}]}
    tensor = InferInput(messages.NAME, [1], "BYTES", data=[content])
    headers: dict[str, str] = {}
    if said.startswith("400"):
        with pytest.raises(Refused) as caught:
            asyncio.run(served.predict(body, {}, headers))
        assert f"{caught.value.status}: {caught.value.message}".startswith(said)
        return
    asyncio.run(served.predict(body, {}, headers))
    answer = asyncio.run(served.predict(InferRequest("mine", [tensor]), {}, {}))
    for told in (
        headers.get(messages.NOTES_HEADER, ""),
        (answer.parameters or {}).get(messages.NOTES, ""),
    ):
        assert said in told and bool(said) == bool(told)
