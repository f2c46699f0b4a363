# Two images of one code base: `api` answers requests and has no torch; `worker` computes and has torch with its CUDA libraries.
# To pin the base image by content, append the digest that `docker buildx imagetools inspect` reports.
FROM python:3.12.13-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --system --uid 10001 --create-home iis && install -d -o iis /data
WORKDIR /srv/iis
ENV IIS_DATA_FOLDER=/data

FROM base AS api
COPY requirements-api.txt ./
RUN pip install --require-hashes -r requirements-api.txt
COPY alembic.ini ./
COPY migrations migrations
COPY iis_engine iis_engine
COPY iis_schemas iis_schemas
COPY app app
USER iis
ENV IIS_HOST=0.0.0.0 IIS_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"IIS_PORT\"]}/v1/health/ready', timeout=4)"]
CMD ["python", "-m", "app"]

FROM base AS worker
COPY requirements-worker.txt ./
RUN pip install --require-hashes -r requirements-worker.txt
COPY iis_engine iis_engine
COPY iis_schemas iis_schemas
COPY app app
COPY worker worker
USER iis
ENV IIS_WORKER_METRICS_PORT=9100
EXPOSE 9100
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"IIS_WORKER_METRICS_PORT\"]}/metrics', timeout=4)"]
CMD ["python", "-m", "celery", "-A", "worker.celery_app", "worker", "--pool", "threads", "--concurrency", "1", "--without-gossip", "--without-mingle", "--without-heartbeat"]
