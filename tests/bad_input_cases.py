"""The catalogue of wrong requests: what users get wrong with each command, and what the one line on
stderr must name.

Paths are those that `test_bad_input_catalogue.place` makes. Cases that need TensorFlow are in
test_bad_input.py.
"""

from typing import NamedTuple


class Case(NamedTuple):
    cause: str
    arguments: str
    expected: str


# What every command gets wrong alike. {} stands for the command's own valid flags.
COMMON = (
    Case("no such flag", "{} --no_such_flag_here=1", "--no_such_flag_here: no such flag"),
    Case("stray word", "{} pictures", "'pictures': not a flag; write --name=value"),
    Case("flag file missing", "{} --flagfile=no.cfg", "--flagfile=no.cfg: cannot be read"),
    Case("flag file circular", "{} --flagfile=circle.cfg", "includes itself"),
    Case(
        "flag file with a stray word",
        "{} --flagfile=stray.cfg",
        "stray.cfg:2: 'batch_size=4' is not a flag",
    ),
)

VALID = {
    "train": "--data_dir=fine --run_dir=run",
    "translate": "--run_dir=run --input=pictures --output=out",
    "evaluate": "--run_dir=run",
    "compare": "--run_dirs=pictures,empty",
    "export": "--run_dir=run --output=out",
    "distill": "--run_dir=run --output=out",
    "serve": "--model_dir=model",
    "demo": "--model=model",
    "adapt": "--source_dir=fine --target_dir=fine --output_dir=out",
    "train_segmenter": "--data_dir=fine --run_dir=run",
    "segment": "--segmenter_dir=run --input=pictures --output=out",
    "export_segmenter": "--segmenter_dir=run --output=out",
    "import_weights": "--from=tfa --weights=words.txt --output=out",
    "doctor": "--nomeasure",
    "data_prep.folders": "--input_dir=pairs --output_dir=out",
    "data_prep.gta5": "--input_dir=pictures --output_dir=out",
    "data_prep.cityscapes": "--input_dir=pictures --output_dir=out",
    "data_prep.satellite_map": "--output_dir=out",
    "data_prep.fluent_emoji": "--output_dir=out",
    "data_prep.citi168": "--output_dir=out",
    "data_prep.toy_street": "--output_dir=out",
}

OWN = {
    "train": (
        Case(
            "flag file with a byte-order mark",
            "--flagfile=bom.cfg",
            "bom.cfg: starts with a byte-order mark",
        ),
        Case(
            "flag file with a trailing comment",
            "--flagfile=comment.cfg",
            "comment.cfg:1: a comment must stand on a line of its own",
        ),
        Case("a required flag behind CRLF", "--flagfile=crlf.cfg", "--data_dir: required"),
        Case(
            "no such data",
            "--run_dir=run --data_dir=nowhere",
            "--data_dir=nowhere: no such directory",
        ),
        Case(
            "data not prepared", "--run_dir=run --data_dir=pictures", "dataset_info.json is missing"
        ),
        Case(
            "data are a file",
            "--run_dir=run --data_dir=words.txt",
            "--data_dir=words.txt: no such directory",
        ),
        Case(
            "output is a file",
            "--run_dir=words.txt --data_dir=pictures",
            "--run_dir=words.txt: is a file",
        ),
        Case(
            "output below a file",
            "--run_dir=words.txt/run --data_dir=pictures",
            "words.txt is a file",
        ),
        Case(
            "flags in conflict",
            "--run_dir=run --data_dir=pictures --crop_size=64 --load_size=36",
            "larger than --load_size=36",
        ),
    ),
    "translate": (
        Case(
            "flag file that is a link to itself",
            "--flagfile=loop.cfg",
            "loop.cfg: cannot be read (links in a circle)",
        ),
        Case(
            "answers in training mode",
            "--run_dir=run --input=pictures --output=out --samples=2 --training_mode",
            "--training_mode: not with --samples",
        ),
        Case(
            "frames whole and in tiles",
            "--run_dir=run --input=pictures --output=out --frozen_statistics --tile=64",
            "--tile: not with --frozen_statistics",
        ),
        Case(
            "a model that is a link to itself",
            "--model=loop --input=pictures --output=out",
            "--model=loop: no such file",
        ),
        Case(
            "a name that no file system takes",
            f"--run_dir={'x' * 300} --input=pictures --output=out",
            "File name too long",
        ),
        Case(
            "no such run",
            "--run_dir=nowhere --input=pictures --output=out",
            "--run_dir=nowhere: holds no run",
        ),
        Case(
            "damaged config.json",
            "--run_dir=damaged --input=pictures --output=out",
            "damaged/config.json: not readable as JSON",
        ),
        Case(
            "config.json of something else",
            "--run_dir=other --input=pictures --output=out",
            "other/config.json: damaged",
        ),
        Case(
            "no such model",
            "--model=nowhere --input=pictures --output=out",
            "--model=nowhere: no such file",
        ),
        Case(
            "no such input",
            "--model=words.txt --input=nowhere --output=out",
            "--input=nowhere: no such file",
        ),
        Case(
            "output is a file",
            "--model=words.txt --input=pictures --output=words.txt",
            "--output=words.txt: is a file",
        ),
        Case(
            "flags in conflict",
            "--model=words.txt --run_dir=run --input=pictures --output=out",
            "give one of them",
        ),
        Case(
            "a model has no report",
            "--model=words.txt --input=pictures --output=out --report",
            "--report: shows pictures of --input in the report of --run_dir",
        ),
        Case(
            "a truth that nothing shows",
            "--run_dir=run --input=pictures --output=out --truth=pictures",
            "--truth=pictures: is shown by --report alone",
        ),
        Case(
            "a run has no size to fit",
            "--run_dir=run --scale=fit --input=pictures --output=out",
            "--scale=fit: resizes to the size",
        ),
    ),
    "evaluate": (
        Case("no such run", "--run_dir=nowhere", "--run_dir=nowhere: holds no run"),
        Case(
            "damaged config.json", "--run_dir=damaged", "damaged/config.json: not readable as JSON"
        ),
        Case(
            "no such translations",
            "--translations=nowhere --data_dir=pretend --output=out",
            "--translations=nowhere: no such",
        ),
        Case(
            "data not prepared",
            "--translations=pictures --data_dir=pictures --output=out",
            "dataset_info.json is missing",
        ),
        Case("flags in conflict", "--translations=pictures --run_dir=run", "give one of them"),
    ),
    "compare": (
        Case("one run alone", "--run_dirs=run", "give two or more runs, separated by commas"),
        Case("no such run", "--run_dirs=pictures,nowhere", "nowhere is not a directory"),
        Case("a run twice", "--run_dirs=pictures,./pictures", "names a run twice; give each once"),
        Case(
            "output is a directory",
            "--run_dirs=pictures,empty --output=empty",
            "--output=empty: is a directory",
        ),
    ),
    "distill": (
        Case("no such run", "--run_dir=nowhere --output=out", "--run_dir=nowhere: holds no run"),
        Case(
            "damaged config.json",
            "--run_dir=damaged --output=out",
            "damaged/config.json: not readable as JSON",
        ),
        Case("no output named", "--run_dir=damaged", "--output: required"),
        Case(
            "output is a file",
            "--run_dir=damaged --output=words.txt",
            "--output=words.txt: is a file",
        ),
        Case(
            "out of range",
            "--run_dir=damaged --output=out --base_filters=0",
            "--base_filters=0: must be at least 1",
        ),
        Case(
            "unknown choice",
            "--run_dir=damaged --output=out --students=aa",
            "--students=aa: unknown choice; valid are ab, ba, both",
        ),
    ),
    "export": (
        Case("no such run", "--run_dir=nowhere --output=out", "--run_dir=nowhere: holds no run"),
        Case(
            "damaged config.json",
            "--run_dir=damaged --output=out",
            "damaged/config.json: not readable as JSON",
        ),
        Case(
            "config.json of something else",
            "--run_dir=other --output=out",
            "other/config.json: damaged",
        ),
        Case("no output named", "--run_dir=damaged", "--output: required"),
    ),
    "serve": (
        Case(
            "no such model", "--model_dir=nowhere", "--model_dir=nowhere: holds no exported model"
        ),
        Case(
            "out of range",
            "--model_dir=pictures --http_port=70000",
            "--http_port=70000: must be at most 65535",
        ),
        Case(
            "model is a file",
            "--model_dir=words.txt",
            "--model_dir=words.txt: holds no exported model",
        ),
        Case("no model named", "", "--model_dir: required"),
        Case("not a number", "--model_dir=pictures --batch_size=many", "--batch_size=many"),
        Case(
            "NaN",
            "--model_dir=pictures --timeout_seconds=nan",
            "--timeout_seconds=nan: must be a finite number",
        ),
        Case(
            "a broken SavedModel",
            "--model_dir=broken",
            "--model_dir=broken: damaged, or not a SavedModel",
        ),
    ),
    "demo": (
        Case("no such model", "--model=nowhere", "--model=nowhere"),
        Case("a folder of no model", "--model=pictures", "--model=pictures"),
        Case(
            "flags in conflict",
            "--model=pictures --export=out --port=80",
            "--export: writes the page",
        ),
    ),
    "adapt": (
        Case(
            "no such data",
            "--source_dir=nowhere --target_dir=pictures --output_dir=out --arms=source_only",
            "nowhere: no such directory",
        ),
        Case(
            "data not prepared",
            "--source_dir=pictures --target_dir=pictures --output_dir=out --arms=source_only",
            "dataset_info.json is missing",
        ),
        Case(
            "no such arm",
            "--source_dir=a --target_dir=b --output_dir=out --arms=magic",
            "--arms=magic: unknown magic",
        ),
        Case(
            "seeds that are words",
            "--source_dir=a --target_dir=b --output_dir=out --seeds=one",
            "--seeds=one: write numbers",
        ),
    ),
    "train_segmenter": (
        Case("no such data", "--data_dir=nowhere --run_dir=run", "nowhere: no such directory"),
        Case(
            "data not prepared", "--data_dir=pictures --run_dir=run", "dataset_info.json is missing"
        ),
        Case(
            "flags in conflict",
            "--data_dir=pictures --run_dir=run --scale_high=0.1",
            "--scale_high=0.1: must be at least",
        ),
    ),
    "segment": (
        Case(
            "output is a file",
            "--segmenter_dir=run --input=pictures --output=words.txt",
            "--output=words.txt: is a file",
        ),
        Case(
            "flags in conflict",
            "--segmenter_dir=run --input=pictures --data_dir=x --output=out",
            "give one of them",
        ),
        Case(
            "no such segmenter",
            "--segmenter_dir=nowhere --input=pictures --output=out",
            "--segmenter_dir=nowhere: holds no segmenter",
        ),
        Case(
            "damaged settings",
            "--segmenter_dir=damaged --input=pictures --output=out",
            "damaged/segmenter.json: not readable as JSON",
        ),
        Case(
            "nothing to label",
            "--segmenter_dir=run --output=out",
            "--input or --data_dir: give one of them",
        ),
        Case("no output named", "--segmenter_dir=run --input=pictures", "--output: required"),
    ),
    "export_segmenter": (
        Case(
            "no such segmenter",
            "--segmenter_dir=nowhere --output=out",
            "--segmenter_dir=nowhere: holds no segmenter",
        ),
        Case(
            "output is a file",
            "--segmenter_dir=pictures --output=words.txt",
            "--output=words.txt: is a file",
        ),
        Case(
            "no size",
            "--segmenter_dir=pictures --output=out --tflite_size=large",
            "--tflite_size=large",
        ),
    ),
    "import_weights": (
        Case(
            "no such file",
            "--from=tfa --weights=nowhere.h5 --output=out",
            "--weights=nowhere.h5: no such file",
        ),
        Case(
            "unknown choice",
            "--from=jax --weights=words.txt --output=out",
            "valid are pytorch, tfa",
        ),
        Case(
            "output is a file",
            "--from=tfa --weights=words.txt --output=words.txt",
            "--output=words.txt: is a file",
        ),
    ),
    "doctor": (Case("neither yes nor no", "--measure=perhaps", "--measure=perhaps"),),
    "data_prep.folders": (
        Case("no such input", "--input_dir=nowhere --output_dir=out", "nowhere: no such directory"),
        Case("input is a file", "--input_dir=words.txt --output_dir=out", "words.txt"),
        Case("no such folders in it", "--input_dir=pictures --output_dir=out", "trainA"),
        Case("output is a file", "--input_dir=pairs --output_dir=words.txt", "words.txt"),
        Case(
            "a name with capitals",
            "--input_dir=pairs --output_dir=out --name=MyData",
            "--name=MyData",
        ),
        Case("HTML named .jpg", "--input_dir=html --output_dir=out", "a.jpg: text, not a picture"),
        Case("a truncated picture", "--input_dir=cut --output_dir=out", "a.jpg: damaged"),
        Case("zero bytes", "--input_dir=zero --output_dir=out", "a.jpg: the file is empty"),
        Case(
            "a pixel bomb",
            "--input_dir=pairs --output_dir=out --max_pixels=10",
            "more than --max_pixels=10",
        ),
    ),
    "data_prep.gta5": (
        Case("no such input", "--input_dir=nowhere --output_dir=out", "nowhere"),
        Case("another layout", "--input_dir=pictures --output_dir=out", "pictures"),
        Case(
            "input is a file",
            "--input_dir=words.txt --output_dir=out",
            "--input_dir=words.txt: no such directory",
        ),
        Case("no output named", "--input_dir=pictures", "--output_dir: required"),
        Case(
            "out of range",
            "--input_dir=pictures --output_dir=out --max_bad=-1",
            "--max_bad=-1: must be at least 0",
        ),
        Case(
            "not a number", "--input_dir=pictures --output_dir=out --max_bad=some", "--max_bad=some"
        ),
    ),
    "data_prep.cityscapes": (
        Case("no such input", "--input_dir=nowhere --output_dir=out", "nowhere"),
        Case("another layout", "--input_dir=pictures --output_dir=out", "leftImg8bit"),
        Case(
            "unknown choice",
            "--input_dir=pictures --output_dir=out --content=words",
            "--content=words: unknown choice",
        ),
    ),
    "data_prep.satellite_map": (
        Case("no such input", "--input_dir=nowhere --output_dir=out", "nowhere"),
        Case(
            "out of range", "--output_dir=out --min_water=2", "--min_water=2.0: must be at most 1"
        ),
        Case("no output named", "", "--output_dir: required"),
        Case(
            "output is a file",
            "--output_dir=words.txt",
            "--output_dir=words.txt: is a file, but a directory is needed",
        ),
        Case("not a number", "--output_dir=out --output_size=big", "--output_size=big"),
        Case(
            "no pictures in the input",
            "--output_dir=out --input_dir=pictures",
            "pictures/bmng.jpg: no such file",
        ),
    ),
    "data_prep.fluent_emoji": (
        Case("no output named", "", "--output_dir: required"),
        Case(
            "output is a file",
            "--output_dir=words.txt",
            "--output_dir=words.txt: is a file; give a directory",
        ),
        Case("too large", "--output_dir=out --size=300", "--size=300: must be at most 256"),
    ),
    "data_prep.citi168": (
        Case("no output named", "", "--output_dir: required"),
        Case(
            "output is a file",
            "--output_dir=words.txt",
            "--output_dir=words.txt: is a file; give a directory",
        ),
    ),
    "data_prep.toy_street": (
        Case("output is a file", "--output_dir=words.txt", "--output_dir=words.txt: is a file"),
        Case("too small", "--output_dir=out --size=4", "--size=4: must be at least 32x64"),
        Case(
            "flags in conflict",
            "--output_dir=out --night_share=0.9 --dusk_share=0.9",
            "must not exceed 1 together",
        ),
        Case("another's directory", "--output_dir=pictures", "is not empty"),
    ),
}

# Cases that need TensorFlow or numpy, and have twins in this process: test_intake.py,
# test_prepare.py, test_bad_flags.py.
SLOW_CAUSES = {"HTML named .jpg", "a truncated picture", "zero bytes", "a pixel bomb"}


def is_slow(command: str, cause: str) -> bool:
    if cause == "a broken SavedModel":
        return True
    return command.startswith("data_prep.") and (
        cause in SLOW_CAUSES or cause in {case.cause for case in COMMON}
    )


CASES = {
    f"{command}: {case.cause}": (
        command,
        case._replace(arguments=case.arguments.format(VALID[command])),
    )
    for command in VALID
    for case in (*COMMON, *OWN[command])
}
