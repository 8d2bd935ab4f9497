# Mneme in two stages: what builds it, and what runs it.

FROM debian:12-slim AS build
WORKDIR /src
# Packages first: they change least, so their layer is kept.
COPY dev ./
RUN ./dev packages && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release -DBUILD_TESTING=OFF \
 && ninja -C build/release mneme \
 && strip build/release/mneme \
# The packages that the binary's libraries come from, for the next stage.
 && ldd build/release/mneme | awk '$3 ~ /^\// {print $3}' | xargs -n 1 realpath \
  | sort -u | while read -r library; do \
      dpkg-query -S "$library" "${library#/usr}" 2>/dev/null; \
    done | cut -d: -f1 | sort -u > /runtime-packages

FROM debian:12-slim
COPY --from=build /runtime-packages /tmp/runtime-packages
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive xargs -a /tmp/runtime-packages \
    apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/* /tmp/runtime-packages \
 && useradd --system --uid 10001 --home-dir /var/lib/mneme --create-home mneme
COPY --from=build /src/build/release/mneme /usr/local/bin/mneme
USER mneme
# One thread of BLAS: the server has its own executor.
ENV OPENBLAS_NUM_THREADS=1 MNEME_SERVER=127.0.0.1:7788
VOLUME /var/lib/mneme
EXPOSE 7788 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["mneme", "stats", "--timeout", "4"]
ENTRYPOINT ["mneme"]
# Inside a container every address is its own; docker-compose.yml says who
# reaches it from outside.
CMD ["serve", "--data", "/var/lib/mneme/data", "--listen", "0.0.0.0:7788", \
     "--metrics-listen", "0.0.0.0:9464", "--allow-remote"]
