# The operator's image: Python and the package, nothing that a running operator does not need.
#   docker build -t overspill:0.1.0 .
# The base can be another Debian with Python 3.11 or newer: --build-arg BASE=…
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
WORKDIR /src
COPY requirements.lock ./
# The lock's exact versions as constraints: it also holds the tools of development, which stay out.
RUN sed -E '/--hash=/d; s/ *\\$//' requirements.lock > constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator ./operator
RUN python3 -m venv /opt/overspill \
 && /opt/overspill/bin/pip install --no-cache-dir --no-compile -c constraints.txt . \
 && /opt/overspill/bin/pip uninstall -y pip \
 && /opt/overspill/bin/python -m compileall -q /opt/overspill/lib

FROM ${BASE}
LABEL org.opencontainers.image.title="Overspill" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/overspill /opt/overspill
# The root file system is read-only in the cluster: nothing may want to write beside /tmp.
ENV PATH=/opt/overspill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080 8443
CMD ["kopf", "run", "--module=overspill.app", "--all-namespaces", "--standalone"]
