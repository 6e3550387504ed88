# The appliance as a container image. Both bases are Debian 12 or newer; BUILD_BASE also needs a Node with npm.
#
#   docker build -t remuda .
#
# It is run on the host's network: see docker-compose.yml.
ARG BASE=debian:bookworm-slim
ARG BUILD_BASE=node:22-bookworm-slim

FROM ${BUILD_BASE} AS build
ARG KERNEL=generic
WORKDIR /build
COPY . .
RUN apt-get update -q && sh deploy/setup.sh build go && sh deploy/package.sh --kernel "${KERNEL}" /opt/remuda

FROM ${BASE}
# The one library that Node 26 wants and a small Debian has not.
RUN [ -e /usr/share/doc/libatomic1 ] || { apt-get update && apt-get install -y --no-install-recommends libatomic1 && rm -rf /var/lib/apt/lists/*; }
COPY --from=build /opt/remuda /opt/remuda
RUN ln -s /opt/remuda/bin/remuda /usr/local/bin/remuda && mkdir -p /etc/remuda /var/lib/remuda /run/remuda
VOLUME ["/var/lib/remuda"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["remuda", "status", "--quiet"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["remuda"]
CMD ["serve", "--config", "/etc/remuda/remuda.yaml"]
