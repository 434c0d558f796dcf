# The page for a machine of your own:
#   docker build -t seq2seq-explorer .
#   docker run --rm -p 7860:7860 -v seq2seq-models:/data seq2seq-explorer
# Also with --read-only --tmpfs /tmp: nothing is written but to /data and /tmp.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

# Torch by itself, because it is most of the image and changes least. For a GPU:
#   docker build --build-arg TORCH_INDEX=https://pypi.org/simple ... and docker run --gpus all ...
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --index-url "$TORCH_INDEX" "torch~=2.13.0"
COPY requirements.txt ./
RUN pip install -r requirements.txt

RUN useradd --uid 1000 --create-home user && install -d -o user /data
COPY assets ./assets
COPY checkpoints ./checkpoints
COPY seq2seq ./seq2seq
COPY app.py LICENSE ./
RUN python -m compileall -q app.py seq2seq

USER 1000
# Models of the Hub go to /data, or if that cannot be written below /tmp.
ENV HF_HOME=/data GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 GRADIO_NUM_PORTS=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['GRADIO_SERVER_PORT'], timeout=4)"]
CMD ["python", "app.py"]
