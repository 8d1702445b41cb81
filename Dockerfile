# Runs `pawsure serve` as an unprivileged user; no TensorFlow.
#
#   docker build -t pawsure .
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/runs/mine:/model:ro" pawsure

FROM python:3.12-slim AS build
WORKDIR /build
COPY requirements/serve.txt .
RUN python -m venv /opt/pawsure \
    && /opt/pawsure/bin/pip install --no-cache-dir --require-hashes --requirement serve.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src src
# pyarrow, 170 MB of the image's 400, is needed only by commands that read or write tables.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir 'hatchling>=1.27' \
    && /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/pawsure/bin/pip install --no-cache-dir --no-deps dist/*.whl \
    && /opt/pawsure/bin/pip uninstall --yes --quiet pyarrow pip \
    && /opt/pawsure/bin/python -m compileall -q /opt/pawsure/lib

FROM python:3.12-slim
COPY --from=build /opt/pawsure /opt/pawsure
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin pawsure
USER 10001
# pawsure turns ONNX Runtime's telemetry off by itself; this covers any other program in the image.
ENV ORT_DISABLE_TELEMETRY=1 \
    PATH=/opt/pawsure/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
# The published port decides who can connect; --token adds authentication.
ENTRYPOINT ["pawsure", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["--model", "/model"]
