# An image of the program that `make image` has built for the platform before:
# static, so that it needs nothing of its base but the certificates for clouds'
# credentials. BASE=scratch does where nothing can be pulled.
ARG BASE=gcr.io/distroless/static:nonroot
FROM ${BASE}
ARG TARGETOS=linux
ARG TARGETARCH=amd64
ARG VERSION
LABEL org.opencontainers.image.title="active-standby-controller" \
      org.opencontainers.image.description="Gives all traffic of a Kubernetes Service to one of its pods" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY bin/${TARGETOS}/${TARGETARCH}/active-standby-controller /active-standby-controller
USER 65532:65532
ENTRYPOINT ["/active-standby-controller"]
