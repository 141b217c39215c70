# The tool from its wheel, on the CPU:  docker build -t unlearn-audit .
#   docker run --rm -v "$PWD/case:/case" unlearn-audit run --forget forget.npz --arch nets:make
FROM python:3.12-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.12-slim
COPY --from=wheel /wheel /wheel
COPY constraints.txt /wheel/
# xgboost without its library for GPUs (469 MB): it is installed without its dependencies, which are installed by name
RUN pip install --no-cache-dir -c /wheel/constraints.txt --index-url https://download.pytorch.org/whl/cpu torch \
 && pip install --no-cache-dir -c /wheel/constraints.txt numpy scipy scikit-learn scikit-image captum pydantic typer \
        rich jinja2 safetensors cryptography \
 && pip install --no-cache-dir --no-deps -c /wheel/constraints.txt xgboost /wheel/*.whl \
 && useradd --create-home auditor
USER auditor
WORKDIR /case
ENTRYPOINT ["audit"]
