# An export behind REST and gRPC, on CPUs. What was tried of it: docs/docker.md.
#
#   docker build --file docker/serve.Dockerfile --tag tfcyclegan-serve .
#   docker run --rm --read-only --tmpfs /tmp --memory 4g --publish 127.0.0.1:8501:8501 --publish 127.0.0.1:8500:8500 \
#     --volume "$PWD/saved_models/satellite2map:/models/satellite2map:ro" tfcyclegan-serve --model_dir=/models/satellite2map
#
# There is no log-in and no TLS: put a proxy in front before it is published further.
FROM python:3.11-slim

WORKDIR /source
COPY setup.py pyproject.toml constraints.txt README.md LICENSE MANIFEST.in ./
COPY configs configs
COPY data_prep data_prep
COPY tfcyclegan tfcyclegan
RUN pip install --no-cache-dir --constraint constraints.txt '.[serve]' && rm -rf /source

RUN useradd --create-home server
USER server
ENV HOME=/tmp
WORKDIR /tmp
EXPOSE 8500 8501
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/v2/health/ready', timeout=5)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tfcyclegan", "serve", "--host=0.0.0.0"]
CMD ["--help"]
