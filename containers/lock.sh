#!/usr/bin/env bash
# Make requirements.lock again: containers/lock.sh [OPTION OF uv pip compile...]
#
# Versions that still fit setup.cfg are kept; with --upgrade the newest are taken, with
# --upgrade-package NAME those of one package. Needs uv (pip install uv), Python 3.11 or
# newer, and a package index; the file names no index and no folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v uv >/dev/null; then
  echo "containers/lock.sh: uv is missing; try: pip install uv" >&2
  exit 1
fi

# From setup.cfg by hand: uv would build the package to ask it, and nothing is built here.
requirements=$("${PYTHON:-python3}" - <<'PYTHON'
from configparser import ConfigParser

settings = ConfigParser()
settings.read("setup.cfg", encoding="utf-8")
print(settings["options"]["install_requires"].strip())
# jobs that share no folder with the submitter fetch their files themselves
print(settings["options.extras_require"]["transfer"].strip())
PYTHON
)

uv pip compile --quiet --generate-hashes --only-binary :all: --python-version 3.11 \
  --python-platform x86_64-manylinux_2_28 --custom-compile-command containers/lock.sh \
  --output-file containers/requirements.lock "$@" - <<<"$requirements"
