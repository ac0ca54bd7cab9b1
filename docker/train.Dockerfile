# Training on NVIDIA GPUs. What was tried of it: docs/docker.md.
#
#   docker build --file docker/train.Dockerfile --tag tfcyclegan-train .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" --volume "$PWD:/work" tfcyclegan-train \
#     train --flagfile=configs/presets/official.cfg --data_dir=data/mine --run_dir=runs/mine
#
# The CUDA libraries come with TensorFlow's wheels; the host needs NVIDIA's driver and container toolkit alone.
FROM python:3.11-slim

WORKDIR /source
COPY setup.py pyproject.toml constraints.txt README.md LICENSE MANIFEST.in ./
COPY configs configs
COPY data_prep data_prep
COPY tfcyclegan tfcyclegan
RUN pip install --no-cache-dir --constraint constraints.txt '.[gpu,demo]' && rm -rf /source

# any user may run it: what TensorFlow, TFDS and matplotlib keep goes here
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["tfcyclegan"]
CMD ["doctor"]
