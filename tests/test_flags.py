"""Flags: from words and flag files to options, and the command line's own answers."""

import dataclasses
import importlib
import re
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.test_bad_flags import MODULES
from tests.test_config import config
from tfcyclegan import cli, flags
from tfcyclegan.config import ARCHITECTURES, GAN_MODES, ImportConfig, ServeConfig, Size, TrainConfig
from tfcyclegan.errors import UserError

PATHS = ["--data_dir=d", "--run_dir=r"]


def parse(*arguments: object) -> TrainConfig:
    return flags.parse(TrainConfig, [*PATHS, *map(str, arguments)])


def refused(*arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        parse(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def write(tmp_path):
    def write_file(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_file


# --- flag files
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dashes", ["--", "-"])
@pytest.mark.parametrize("form", ["one word", "two words"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_command_line_wins_wherever_the_flag_file_stands(write, place, form, dashes):
    path = write("a.cfg", "--epochs=7\n--pool_size=9\n--seed=3\n")
    arguments = ["--epochs=8", "--seed=4"]
    arguments[place:place] = (
        [f"{dashes}flagfile={path}"] if form == "one word" else [f"{dashes}flagfile", path]
    )
    parsed = parse(*arguments)
    assert (parsed.epochs, parsed.seed, parsed.pool_size) == (8, 4, 9)


def test_of_two_flag_files_the_later_wins(write):
    first, second = write("a.cfg", "--epochs=1\n--seed=1\n"), write("b.cfg", "--seed=2\n")
    assert dataclasses.asdict(
        parse(f"--flagfile={first}", f"--flagfile={second}")
    ) == dataclasses.asdict(config(epochs=1, seed=2))
    assert parse(f"--flagfile={second}", f"--flagfile={first}").seed == 1


def test_nested_flag_file_is_found_beside_the_including_one_first(write, monkeypatch, tmp_path):
    outer = write("inner/outer.cfg", "--seed=1\n--flagfile=base.cfg\n--epochs=5\n")
    write("inner/base.cfg", "--seed=2\n--epochs=4\n--pool_size=3")
    write("elsewhere/base.cfg", "--seed=99\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    parsed = parse(f"--flagfile={outer}")
    assert (parsed.seed, parsed.epochs, parsed.pool_size) == (2, 5, 3), (
        "lines hold in the order in which they stand"
    )
    (tmp_path / "inner/base.cfg").unlink()
    assert parse(f"--flagfile={outer}").seed == 99, "then from the working directory"
    (tmp_path / "elsewhere/base.cfg").unlink()
    assert "base.cfg: cannot be read (No such file" in refused(f"--flagfile={outer}")


@pytest.mark.parametrize(
    "name", ["configs/presets/mobile.cfg", "presets/mobile.cfg", "./presets/mobile.cfg"]
)
def test_the_programs_own_configs_are_found_from_anywhere(write, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    assert parse(f"--flagfile={name}").residual_blocks == 6
    outer = write("outer.cfg", f"--seed=1\n--flagfile={name}\n")
    assert (parse(f"--flagfile={outer}").seed, parse(f"--flagfile={outer}").base_filters) == (1, 16)
    write(name, "--residual_blocks=5\n")
    assert parse(f"--flagfile={name}").residual_blocks == 5, (
        "a file of the user's own is taken first"
    )


@pytest.mark.parametrize(
    "name",
    [
        "presets",
        "../configs/presets/mobile.cfg",
        "/configs/presets/mobile.cfg",
        "configs/presets/moble.cfg",
    ],
)
def test_what_is_no_config_of_the_program_is_not_found(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    assert (
        refused(f"--flagfile={name}")
        == f"--flagfile={name}: cannot be read (No such file or directory)"
    )


def test_one_flag_file_may_be_included_twice_but_not_by_itself(write):
    write("base.cfg", "--seed=2\n")
    twice = write("twice.cfg", "--flagfile=base.cfg\n--flagfile=base.cfg\n")
    assert parse(f"--flagfile={twice}").seed == 2
    first = write("first.cfg", "--flagfile=second.cfg\n")
    write("second.cfg", "--seed=1\n--flagfile=first.cfg\n")
    assert "first.cfg: this flag file includes itself" in refused(f"--flagfile={first}")


def test_no_takes_no_value():
    for value in ("", "1", "true"):
        assert "--noflip" in refused(f"--noflip={value}")


def test_a_long_name_is_told_at_once():
    began = time.monotonic()
    assert "...: no such flag; --help lists the flags" in refused(f"--{'cro-' * 2000}=1")
    assert time.monotonic() - began < 5


def test_flag_files_that_lead_nowhere_or_without_end(write, tmp_path):
    (tmp_path / "circle.cfg").symlink_to("circle.cfg")
    assert "circle.cfg: cannot be read (links in a circle)" in refused(
        f"--flagfile={tmp_path / 'circle.cfg'}"
    )
    for content, reason in (
        ("--flagfile=circle.cfg\n", "circle.cfg: cannot be read"),
        ("--flagfile=a\0b\n", "has a NUL character"),
        (f"--flagfile={'x' * 5000}\n", "cannot be read (File name too long)"),
        ("--flagfile=.\n", "cannot be read (Is a directory)"),
        ("#" * 2**20 + "\n", "larger than 1048576 bytes"),
    ):
        assert reason in refused(f"--flagfile={write('a.cfg', content)}")
    assert "cannot be read (a name with a NUL)" in refused("--flagfile=a\0b")
    for number in range(1200):
        write(f"nested/{number}.cfg", f"--flagfile={number + 1}.cfg\n")
        write(f"doubled/{number}.cfg", f"--flagfile={number + 1}.cfg\n" * 2)
    write("doubled/60.cfg", "--seed=1\n")
    for kind in ("nested", "doubled"):
        assert "more than 100 flag files include each other" in refused(
            f"--flagfile={tmp_path / kind / '0.cfg'}"
        )


def test_comments_blank_lines_and_windows_line_ends(write):
    path = write(
        "a.cfg",
        b"# paper\r\n// more\r\n\r\n   --seed=5  \r\n\t# indented\r\n"
        b"--init_from=runs/a#1\r\n--noflip\r\n",
    )
    parsed = parse(f"--flagfile={path}")
    assert (parsed.seed, parsed.init_from, parsed.flip) == (5, "runs/a#1", False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xef\xbb\xbf--seed=1\n", "byte-order mark"),
        ("--seed=1\n".encode("utf-16"), "cannot be read (not UTF-8 text)"),
        (b"--init_from=caf\xe9\n", "cannot be read (not UTF-8 text)"),
        (b"--seed=1\nseed=2\n", "a.cfg:2: 'seed=2' is not a flag"),
        (
            b"\n--seed=1  # lucky\n",
            "a.cfg:2: a comment must stand on a line of its own, not after --seed",
        ),
        (b"--seed=1 // lucky\n", "--seed"),
    ],
)
def test_bad_flag_files_are_refused(write, content, words):
    assert words in refused(f"--flagfile={write('a.cfg', content)}")


def test_missing_flag_files_are_refused(tmp_path):
    assert "nowhere.cfg: cannot be read (No such file" in refused(
        f"--flagfile={tmp_path}/nowhere.cfg"
    )
    assert "cannot be read (Is a directory)" in refused(f"--flagfile={tmp_path}")
    assert refused("--flagfile") == refused("--flagfile=") == "--flagfile: needs the path of a file"


UNUSUAL = {
    "data_dir": "/data/Größe = 3, 東京",
    "run_dir": "--looks like a flag",
    "cache_dir": "'quoted' \"path\"",
    "preprocess": "scale_width_and_crop",
    "load_size": Size(180, 360),
    "crop_size": Size(64, 128),
    "flip": False,
    "generator": "resnet",
    "residual_blocks": 1,
    "dropout": True,
    "learning_rate": 0.1 + 0.2,
    "init_gain": 1e-300,
    "lambda_identity": 0.0,
    "channels_a": 1,
    "epochs": 0,
    "decay_epochs": 3,
    "max_steps": 10**12,
    "beta_1": 1 / 3,
    "seed": 2**31,
    "devices": 2,
    "deterministic": True,
}


@pytest.mark.parametrize("settings", [{}, UNUSUAL], ids=["defaults", "unusual"])
def test_a_written_flag_file_parses_to_the_same_options(write, settings):
    original = config(**settings)
    text = flags.to_flag_file(original)
    assert flags.parse(TrainConfig, [f"--flagfile={write('a.cfg', text)}"]) == original
    assert flags.to_flag_file(flags.parse(TrainConfig, text.splitlines())) == text


# --- the home folder
# --------------------------------------------------------------------------------------------------


def test_data_in_the_home_folder_is_found_where_no_shell_replaces_the_tilde(
    tmp_path, monkeypatch, capsys
):
    """bash leaves the ~ of --data_dir=~/data as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    assert cli.main(["train", "--data_dir=~/data", "--run_dir=~/run"]) == 2
    assert f"--data_dir={tmp_path}/data: not a complete data set" in capsys.readouterr().err


def test_every_option_names_the_home_folder_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    seen = []
    given = {
        "data_dir": "~/a,~,here,~/b",
        "run_dir": "gs/~/x",
        "pairs": "~no_such_user/x.csv",
        "data_recipe": "~ ten minutes, ~/x",
        "generator": "~/graph.json",
    }
    arguments = [f"--{name}={value}" for name, value in given.items()]
    assert cli.run_command("program", "", "", TrainConfig, seen.append, arguments) == 0
    (told,) = seen
    assert {name: getattr(told, name) for name in given} == given | {
        "data_dir": f"{tmp_path}/a,{tmp_path},here,{tmp_path}/b",
        "generator": f"{tmp_path}/graph.json",
    }


def test_a_hub_folder_in_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    seen = []
    arguments = ["--model_dir=hf:~/hub"]
    assert cli.run_command("program", "", "", ServeConfig, seen.append, arguments) == 0
    assert seen[0].model_dir == f"hf:{tmp_path}/hub"


def test_a_flag_file_in_the_home_folder_is_found(write, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write("home/base.cfg", "--seed=5\n")
    outer = write("home/outer.cfg", "--flagfile=~/base.cfg\n")
    assert parse("--flagfile=~/outer.cfg").seed == parse(f"--flagfile={outer}").seed == 5


# --- words on the command line
# ---------------------------------------------------------------------------------------


def test_flags_without_a_file():
    assert parse() == config()
    assert parse("--noflip", "--dropout", "--deterministic=true", "--epochs", 3) == config(
        flip=False, dropout=True, deterministic=True, epochs=3
    )
    assert parse("--flip=false", "--seed=1", "--seed=2") == config(flip=False, seed=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lerning_rate=1"], "--lerning_rate: no such flag; did you mean --learning_rate?"),
        (["--qqqq=1"], "--qqqq: no such flag; --help lists the flags"),
        (["stray"], "'stray': not a flag; write --name=value"),
        (["--flip", "false"], "'false': not a flag; write --name=value"),
        (["--", "--seed=1"], "'--': only flags are accepted; write --name=value"),
        (["--seed=two"], "flag --seed=two: invalid literal for int() with base 10: 'two'"),
        (["--epochs=1.5"], "flag --epochs=1.5: invalid literal for int() with base 10: '1.5'"),
        (
            ["--learning_rate=fast"],
            "flag --learning_rate=fast: could not convert string to float: 'fast'",
        ),
        (["--learning_rate=nan"], "--learning_rate=nan: must be a finite number"),
        (["--lambda_a=inf"], "--lambda_a=inf: must be a finite number"),
        (["--lambda_a=-inf"], "--lambda_a=-inf: must be a finite number"),
        (["--learning_rate=0"], "--learning_rate=0.0: must be greater than 0"),
        (["--learning_rate=1.1"], "--learning_rate=1.1: must be at most 1"),
        (["--seed=4294967296"], "--seed=4294967296: must be at most 4294967295"),
        (["--batch_size=0"], "--batch_size=0: must be at least 1"),
        (["--lambda_b=-1e-9"], "--lambda_b=-1e-09: must be at least 0"),
        (["--channels_a=65"], "--channels_a=65: must be at most 64"),
        (
            ["--gan_mode=wgan"],
            f"--gan_mode=wgan: unknown choice; valid are {', '.join(GAN_MODES)}",
        ),
        (
            ["--generator=vit"],
            "--generator=vit: unknown choice; valid are resnet, resnet_Nblocks, "
            f"{', '.join(ARCHITECTURES)}, or MODULE:FUNCTION for your own",
        ),
        (
            ["--generator=resnet_0blocks"],
            "--generator=resnet_0blocks: unknown choice; valid are resnet, resnet_Nblocks, "
            f"{', '.join(ARCHITECTURES)}, or MODULE:FUNCTION for your own",
        ),
        (["--run_dir="], "--run_dir: required; directory of the run; the same command resumes it"),
        (
            ["--load_size=3x"],
            "flag --load_size=3x: '3x' is not a size; write one number or HEIGHTxWIDTH",
        ),
    ],
)
def test_bad_words_are_refused(arguments, message):
    assert refused(*arguments) == message


def test_import_weights_has_the_flag_from():
    parsed = flags.parse(ImportConfig, ["--from=tfa", "--weights=w.h5", "--output=o"])
    assert (parsed.from_, parsed.network) == ("tfa", "")
    assert "--from=tfa\n" in flags.to_flag_file(parsed)
    with pytest.raises(UserError, match="--from=keras: unknown choice; valid are pytorch, tfa"):
        flags.parse(ImportConfig, ["--from=keras", "--weights=w", "--output=o"])
    with pytest.raises(UserError, match="--from: required"):
        flags.parse(ImportConfig, ["--weights=w", "--output=o"])


# --- the command
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_goes_to_stdout(command):
    result = subprocess.run(
        [sys.executable, "-m", "tfcyclegan.cli", command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"tfcyclegan {command}: {cli.COMMANDS[command]}\n")
    config_class = importlib.import_module(f"tfcyclegan.commands.{command}").Config
    listed = re.findall(r"^  --(?:\[no\])?(\w+)", result.stdout, re.MULTILINE)
    assert listed == [
        "flagfile",
        *(field.name.rstrip("_") for field in dataclasses.fields(config_class)),
    ]


def test_help_needs_no_tensorflow():
    code = f"""
import sys
from tfcyclegan import cli
for command in {list(cli.COMMANDS)}:
    for word in ("--help", "-h", "--helpfull"):
        assert cli.main([command, "--seed=nonsense", word]) == 0
assert cli.main([]) == cli.main(["--help"]) == cli.main(["--version"]) == 0
assert cli.main(["train", "--gan_mode=wgan"]) == 2
heavy = {{"tensorflow", "keras", "tensorflow_datasets"}} & sys.modules.keys()
assert not heavy, heavy
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_help_tells_defaults_choices_and_what_is_required():
    page = flags.help_text("tfcyclegan train", "summary", "    one\n    two\n", TrainConfig)
    assert (
        "Examples:\n  one\n  two\n\nRequired, here or in a flag file: --data_dir, "
        "--run_dir\n\nFlags:\n" in page
    )
    assert "(required; also --data)" in page
    headings = [line for line in page.splitlines()[1:] if line.endswith(":") and line[0] != " "]
    assert headings[:4] == [
        "Examples:",
        "Flags:",
        "Training method:",
        "Where the pictures are and how they become batches:",
    ]
    assert "  --[no]flip\n      mirror half of the training images (default: true)\n" in page
    assert (
        "  --discriminator=STR\n      patch is the 70x70 PatchGAN, pixel its 1x1 variant (default: "
        "patch; one of: patch, pixel)\n" in page
    )
    assert "(required)" in page and "(default: 0.0002)" in page and "None" not in page


@pytest.mark.parametrize("module", MODULES)
def test_help_has_headings_for_people(module):
    """Python makes a docstring of the arguments for a dataclass that has none."""
    page = flags.help_text("command", "summary", "example", importlib.import_module(module).Config)
    assert "Config(" not in page and ": ," not in page


def test_unknown_commands_get_a_suggestion(capsys):
    assert cli.main(["trian", "--seed=1"]) == 2
    assert cli.main(["qqqq"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "tfcyclegan: 'trian': no such command; did you mean train?",
        f"tfcyclegan: 'qqqq': no such command; commands are {', '.join(cli.COMMANDS)}",
    ]


def test_wrong_flags_end_in_one_line_and_exit_code_2():
    command = [sys.executable, "-m", "tfcyclegan.cli", "train", "--lerning_rate=1"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert (
        result.stderr
        == "tfcyclegan train: --lerning_rate: no such flag; did you mean --learning_rate?\n"
    )


def test_a_flag_given_twice_in_one_place_is_told(tmp_path, capsys):
    """A file may change what it includes and the command line what files say: that is their use.
    Twice in one place is a slip.
    """
    (tmp_path / "base.cfg").write_text("--seed=1\n--noflip\n")
    (tmp_path / "mine.cfg").write_text("--flagfile=base.cfg\n--seed=2\n--flip\n")
    (tmp_path / "twice.cfg").write_text(
        "--seed=1\n--noflip\n--data=x\n--seed=2\n--data_dir=y\n--flip=true\n"
    )
    required = ["--data_dir=d", "--run_dir=r"]
    assert (
        flags.parse(
            TrainConfig, [f"--flagfile={tmp_path / 'mine.cfg'}", "--seed=3", *required]
        ).seed
        == 3
    )
    assert capsys.readouterr().out == ""
    config = flags.parse(TrainConfig, [f"--flagfile={tmp_path / 'twice.cfg'}", "--run_dir=r"])
    assert (config.seed, config.flip, config.data_dir) == (2, True, "y")
    told = capsys.readouterr().out
    for name in ("seed", "flip", "data_dir"):
        assert f"{tmp_path / 'twice.cfg'}: --{name} is given 2 times; the last one counts" in told
    flags.parse(TrainConfig, [*required, "--epochs", "1", "--epochs=2"])
    assert (
        capsys.readouterr().out == "command line: --epochs is given 2 times; the last one counts\n"
    )
