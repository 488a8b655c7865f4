# fmnist-tui with the CUDA runtime of torch's own wheels: nothing but a driver is needed on the host.
#
#   docker build -t fmnist-tui .
#   docker run --rm -it --gpus all -e TERM -e COLORTERM -v fmnist-tui:/home/user/data fmnist-tui
#   docker run --rm --gpus all -v fmnist-tui:/home/user/data fmnist-tui train fast
#
# Without a GPU: leave out --gpus, and build with --build-arg INDEX=URL, the address of torch's CPU wheels.
FROM python:3.12-slim AS build
ARG INDEX=""
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY fmnist_tui ./fmnist_tui
COPY configs ./configs
COPY assets ./assets
COPY docs ./docs
# The environment is copied as a whole: neither sources nor caches get into the image.
RUN python -m venv /opt/fmnist-tui \
 && /opt/fmnist-tui/bin/pip install --no-cache-dir ${INDEX:+--extra-index-url "$INDEX"} .

FROM python:3.12-slim
COPY --from=build /opt/fmnist-tui /opt/fmnist-tui
ENV PATH=/opt/fmnist-tui/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    FMNIST_TUI_RUNS=/home/user/data/runs \
    FMNIST_TUI_DATA=/home/user/data/datasets \
    FMNIST_TUI_SETTINGS=/home/user/data/settings
# A volume that is mounted here for the first time belongs to this user, as the folder does.
RUN useradd --create-home --uid 1000 user \
 && install --directory --owner=user --group=user /home/user/data
USER user
WORKDIR /home/user
VOLUME /home/user/data
ENTRYPOINT ["fmnist-tui"]
