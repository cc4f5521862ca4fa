#!/usr/bin/env bash
# Build the Apptainer image of bkgpipe: containers/build.sh [IMAGE [OPTION...]]
#
# IMAGE is bkgpipe.sif unless named; options go to `apptainer build`: --sandbox makes a
# folder instead of a file, --fakeroot is for users without root, and for root in a
# container. Needs Apptainer 1.2 or newer, Python with pip, and a package index.
# The rest is set by environment variables:
#
#   BKGPIPE_BASE       what the image starts from, with Python 3.11 and venv in it:
#                      registry    BKGPIPE_BASE_IMAGE of a container registry (default)
#                      debian      made by mmdebstrap from the mirrors of this machine,
#                                  which must be Debian bookworm
#                      FILE.tar    a docker archive
#   BKGPIPE_BASE_IMAGE python:3.11-slim-bookworm unless set; NAME@sha256:DIGEST pins it
#   BKGPIPE_BUILD_DIR  folder for what is downloaded, kept for the next build; otherwise
#                      a temporary one (TMPDIR) that is removed
#   PYTHON             interpreter whose pip is used (python3)
set -euo pipefail

main() {
  image=$(realpath -m "${1:-bkgpipe.sif}")
  shift $(($# > 0))
  root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
  python=${PYTHON:-python3}
  check_tools
  work=$(realpath -m "${BKGPIPE_BUILD_DIR:-$(mktemp -d)}")
  mkdir -p "$work"/{base,wheelhouse}
  context=$(mktemp -d "$work/context.XXXXXX")
  trap clean_up EXIT
  trap 'exit 130' INT TERM

  step "base" make_base
  step "packages" download_packages
  step "wheel of bkgpipe" make_wheel
  step "image" build_image "$@"
  echo "Built $image ($(du -sh --apparent-size "$image" | cut -f 1))"
}

fail() {
  echo "containers/build.sh: $1" >&2
  exit 1
}

step() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@"
  echo "== $name: $((SECONDS - start)) s"
}

clean_up() {
  rm -rf "$context"
  if [ -z "${BKGPIPE_BUILD_DIR:-}" ]; then
    rm -rf "$work"
  fi
}

check_tools() {
  command -v apptainer >/dev/null || fail "Apptainer is missing; see docs/container.md"
  "$python" -m pip --version >/dev/null || fail "'$python' has no pip; set PYTHON"
  if [ -d "$image" ] && [ ! -d "$image/.singularity.d" ]; then
    fail "$image is a folder, but no image; it is not replaced"
  fi
}

# Sets bootstrap and from.
make_base() {
  case "${BKGPIPE_BASE:-registry}" in
    registry)
      bootstrap=docker
      from=${BKGPIPE_BASE_IMAGE:-python:3.11-slim-bookworm}
      ;;
    debian)
      bootstrap=docker-archive
      from=base.tar
      [ -e "$work/base/debian.tar" ] || make_debian_base "$work/base/debian.tar"
      ln "$work/base/debian.tar" "$context/base.tar"
      ;;
    *.tar)
      bootstrap=docker-archive
      from=base.tar
      [ -f "$BKGPIPE_BASE" ] || fail "BKGPIPE_BASE: no file $BKGPIPE_BASE"
      ln -s "$(realpath "$BKGPIPE_BASE")" "$context/base.tar"
      ;;
    *) fail "BKGPIPE_BASE is '$BKGPIPE_BASE', not registry, debian or a .tar file" ;;
  esac
}

# A Debian with Python and nothing to read, as a docker archive: a plain folder or tar
# file would lose the owners of its files.
make_debian_base() {
  local archive=$1 layer="$context/layer.tar" mirrors
  command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing; apt-get install it"
  # shellcheck source=/dev/null
  [ "$(. /etc/os-release && echo "$ID $VERSION_CODENAME")" = "debian bookworm" ] ||
    fail "BKGPIPE_BASE=debian takes the mirrors of a Debian bookworm; this is none"
  # shellcheck disable=SC2016
  mirrors=$(apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' | sort -u)
  mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3,python3-venv \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    bookworm "$layer" - <<<"$mirrors"
  wrap_layer "$layer" "$archive"
}

# wrap_layer LAYER.tar ARCHIVE.tar: what `docker save` writes for an image of one layer
wrap_layer() {
  local layer=$1 archive=$2 folder digest config
  folder=$(mktemp -d "$context/archive.XXXXXX")
  digest=$(sha256sum "$layer" | cut -d ' ' -f 1)
  mv "$layer" "$folder/layer.tar"
  config='{"architecture": "amd64", "os": "linux", "config": {}, "rootfs":
    {"type": "layers", "diff_ids": ["sha256:'"$digest"'"]}}'
  printf '%s' "$config" >"$folder/config.json"
  printf '[{"Config": "config.json", "RepoTags": ["bkgpipe-base:bookworm"],
    "Layers": ["layer.tar"]}]' >"$folder/manifest.json"
  tar -C "$folder" -cf "$archive.new" config.json manifest.json layer.tar
  mv "$archive.new" "$archive"
  rm -rf "$folder"
}

# Wheels of the lock file for Python 3.11 in the image, whatever Python runs here.
download_packages() {
  local machine minor platforms=()
  machine=$(uname -m)
  # Debian bookworm has glibc 2.36
  for minor in $(seq 36 -1 17); do
    platforms+=(--platform "manylinux_2_${minor}_$machine")
  done
  platforms+=(--platform "manylinux2014_$machine" --platform "linux_$machine")
  "$python" -m pip download -qq --disable-pip-version-check --no-deps \
    --require-hashes --only-binary :all: --python-version 3.11 "${platforms[@]}" \
    --dest "$work/wheelhouse" --requirement "$root/containers/requirements.lock"
}

# From a copy: setuptools leaves build/ in the tree, and packs what it finds there.
make_wheel() {
  mkdir "$context/source"
  cp -r "$root"/{bkgpipe,setup.cfg,pyproject.toml,README.md,LICENSE} "$context/source"
  SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 315532800) \
    "$python" -m pip wheel -qq --disable-pip-version-check --no-deps \
    --wheel-dir "$context/dist" "$context/source"
}

# In the context, so that no path of this machine gets into the image.
build_image() {
  local lock version new
  mkdir "$context/containers"
  cp "$root/containers/requirements.lock" "$context/containers"
  lock=$(sha256sum "$root/containers/requirements.lock" | cut -d ' ' -f 1)
  version=$(basename "$context"/dist/bkgpipe-*.whl | cut -d - -f 2)
  new=$(mktemp -d "$(dirname "$image")/.build.XXXXXX")
  # gzip, which old kernels read as well, at its own default level: Apptainer takes the
  # highest, which is four times as slow and saves one per cent
  if ! (cd "$context" && apptainer build --bind "$work/wheelhouse:/mnt" \
    --mksquashfs-args "-Xcompression-level 6" "$@" \
    --build-arg BOOTSTRAP="$bootstrap" --build-arg FROM="$from" \
    --build-arg PIP_ARGS="--no-index --find-links /mnt" --build-arg LOCK="$lock" \
    --build-arg VERSION="$version" --build-arg REVISION="$(find_revision)" \
    "$new/image" "$root/containers/bkgpipe.def"); then
    rm -rf "$new"
    fail "apptainer build failed; its last lines say why"
  fi
  rm -rf "$image"
  mv "$new/image" "$image"
  rmdir "$new"
}

# The commit, with -dirty if the image differs from it.
find_revision() {
  local commit changes
  if commit=$(git -C "$root" rev-parse HEAD 2>/dev/null); then
    changes=$(git -C "$root" status --porcelain -- bkgpipe containers \
      setup.cfg pyproject.toml README.md LICENSE)
    echo "$commit${changes:+-dirty}"
  else
    echo unknown
  fi
}

main "$@"
