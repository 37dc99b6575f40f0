# Serves the page on port 7860 as user 1000, as Docker Spaces expect.
#   docker build -t sifa-explorer . && docker run -p 7860:7860 sifa-explorer
# Pass --build-arg PIP_EXTRA_INDEX_URL=... to take torch from an index of CPU-only builds, which are far smaller.
FROM python:3.11-slim

# g++ builds the CPU operator, for the very processor that it runs on: once below, and again where an image is started on
# another one, so it stays in the image. ffmpeg is not needed, decoding comes with PyAV.
# Any g++ of the base image's release will do.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 user

USER 1000
ENV HOME=/home/user \
    PATH=/home/user/.local/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    OMP_WAIT_POLICY=PASSIVE \
    GOMP_SPINCOUNT=0
WORKDIR /home/user/app

ARG PIP_EXTRA_INDEX_URL
ENV PIP_USER=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
COPY --chown=user requirements-image.txt requirements.txt constraints.txt ./
# Every file but torch's has the hash that is written down; torch is the version of constraints.txt.
RUN pip install --require-hashes --no-deps -r requirements-image.txt \
    && pip install -r requirements.txt -c constraints.txt

COPY --chown=user . .
RUN python -c "from sifa_core import ops; print('operator back end:', ops.backend())"

EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/healthz')"]
CMD ["python", "app/main.py"]
