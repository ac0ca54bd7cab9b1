"""`tfcyclegan serve`."""

import dataclasses

from tfcyclegan.config import ServeConfig
from tfcyclegan.errors import UserError
from tfcyclegan.system import tensorflow_setup

Config = ServeConfig
EXAMPLES = """
    tfcyclegan serve --model_dir=saved_models/satellite2map
    tfcyclegan serve --model_dir=saved_models/mine --format=openvino
    tfcyclegan serve --model_dir=saved_models/mine --host=0.0.0.0 --http_port=80 --batch_size=16
    python -m tfcyclegan.serving.client \\
        --url=http://127.0.0.1:8501/v1/models/satellite2map PICTURES translated
"""


def run(config: ServeConfig) -> None:
    from tfcyclegan.exports.hub import located

    place = located(config.model_dir, "model_dir")
    if not place.is_dir():
        raise UserError(
            f"--model_dir={config.model_dir}: holds no exported model; make one with tfcyclegan "
            "export"
        )
    tensorflow_setup.import_tensorflow()
    try:
        from tfcyclegan.serving.server import serve
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed: pip install 'tfcyclegan[serve]'"
        ) from error

    serve(dataclasses.replace(config, model_dir=str(place)))
