"""`tfcyclegan demo`."""

import signal
import tempfile
from pathlib import Path

from tfcyclegan.config import DemoConfig
from tfcyclegan.system.progress import log

Config = DemoConfig
EXAMPLES = """
    tfcyclegan demo --model=saved_models/satellite2map --open_browser
    tfcyclegan demo --model=saved_models/a_to_b,saved_models/b_to_a --samples=testA,testB
    tfcyclegan demo --model=saved_models/mine/1/float32.tflite --samples=PICTURES --export=site
"""


def run(config: DemoConfig) -> None:
    from tfcyclegan.demo import litert_js
    from tfcyclegan.demo.models import find_model
    from tfcyclegan.demo.page import export_page, write_page
    from tfcyclegan.demo.sample_pictures import of_folder, of_run
    from tfcyclegan.demo.web_server import serve
    from tfcyclegan.exports.hub import located

    models = [find_model(located(given, "model")) for given in config.models]
    for model in models:
        log(model.told)
    litert_js.fetch()
    folders = [Path(folder) for folder in config.sample_folders] * (
        len(models) if len(config.sample_folders) == 1 else 1
    )
    samples = [of_folder(folder) for folder in folders] or [of_run(model) for model in models]
    for model, found in zip(models, samples, strict=True):
        if not found.pictures:
            log(
                f"{model.title}: no sample pictures, since its run or data are not here; "
                "--samples=FOLDER uses your own"
            )
        elif found.origin:
            log(f"{model.title}: samples: {found.origin}")
    shown = list(zip(models, samples, strict=True))
    if config.export:
        export_page(shown, Path(config.export))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # a shell starts background jobs with SIGINT ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="tfcyclegan-demo-") as directory:
            write_page(shown, Path(directory))
            serve(Path(directory), config.port, open_browser=config.open_browser)
    except KeyboardInterrupt:
        log("stopped")
