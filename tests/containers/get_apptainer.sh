#!/usr/bin/env bash
# Make sure of Apptainer on a Debian machine: get_apptainer.sh FOLDER
#
# For tests, as root. Where there is an Apptainer nothing is got. Otherwise it comes from
# Debian sid with the libraries that it needs, into FOLDER (FOLDER/usr/bin/apptainer),
# without touching the package lists of the machine. Programs that it calls, and that
# builds need, are installed; root gets subordinate user numbers, without which
# `apptainer build --fakeroot` does nothing.
set -euo pipefail

tools=(squashfs-tools squashfuse uidmap mmdebstrap patchelf acl ca-certificates)
commands=(mksquashfs squashfuse newuidmap mmdebstrap patchelf setfacl setpriv)
apt=(apt-get -o DPkg::Lock::Timeout=300)

main() {
  folder=$(realpath -m "${1:?FOLDER}")
  [ "$(id -u)" = 0 ] || fail "needs root"
  command -v apt-get >/dev/null || fail "needs Debian, for apt-get"
  install_tools
  add_subordinates /etc/subuid --add-subuids
  add_subordinates /etc/subgid --add-subgids
  export PATH="$folder/usr/bin:$PATH"
  if ! apptainer --version 2>/dev/null; then
    get_apptainer
    apptainer --version || fail "the Apptainer of Debian sid does not start here"
  fi
}

fail() {
  echo "get_apptainer.sh: $1" >&2
  exit 1
}

install_tools() {
  if ! has_all; then
    "${apt[@]}" -qq update
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" -qq -y install \
      --no-install-recommends "${tools[@]}" >/dev/null
  fi
}

has_all() {
  local name
  for name in "${commands[@]}"; do
    command -v "$name" >/dev/null || return 1
  done
}

# add_subordinates FILE OPTION: 65536 numbers for root that nobody else has
add_subordinates() {
  local file=$1 option=$2 first
  if ! grep -qs '^root:' "$file"; then
    first=$(awk -F : 'BEGIN { end = 100000 } $2 + $3 > end { end = $2 + $3 }
      END { print end }' <(cat "$file" 2>/dev/null))
    usermod "$option" "$first-$((first + 65535))" root
  fi
}

get_apptainer() {
  local work mirror package
  [ "$(dpkg --print-architecture)" = amd64 ] || fail "written for amd64 only"
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work' '$folder.new'" EXIT
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(SITE)' 'Origin: Debian' 'Created-By: Packages' |
    head -n 1)
  [ -n "$mirror" ] || fail "no Debian mirror in the sources of apt; run apt-get update"
  download_packages "$work" "$mirror"
  rm -rf "$folder.new"
  mkdir -p "$folder.new/lib" "$work/libraries"
  for package in "$work"/packages/*.deb; do
    case ${package##*/} in
      apptainer_*) dpkg-deb -x "$package" "$folder.new" ;;
      *) dpkg-deb -x "$package" "$work/libraries" ;;
    esac
  done
  cp -a "$work"/libraries/usr/lib/x86_64-linux-gnu/*.so* "$folder.new/lib/"
  relocate
  rm -rf "$folder"
  mv "$folder.new" "$folder"
}

# download_packages WORK MIRROR: signatures are checked; state and cache are apart
download_packages() {
  local work=$1 options
  mkdir -p "$work"/{state/lists/partial,cache/archives/partial,packages}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $2 sid main" \
    >"$work/sources.list"
  options=(-qq -o "Dir::State=$work/state" -o Dir::State::status=/dev/null
    -o "Dir::Cache=$work/cache" -o "Dir::Etc::sourcelist=$work/sources.list"
    -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root
    -o Acquire::Languages=none)
  apt-get "${options[@]}" update
  (cd "$work/packages" &&
    apt-get "${options[@]}" download apptainer libc6 libseccomp2 libsqlite3-0)
}

# Apptainer looks for its files beside its binaries, and these need a newer C library than
# the machine has.
relocate() {
  local program
  mv "$folder.new/etc" "$folder.new/usr/etc"
  mkdir -p "$folder.new"/usr/{,lib/}var/lib/apptainer/mnt/session
  ln -s ../etc "$folder.new/usr/lib/etc"
  for program in bin/apptainer lib/x86_64-linux-gnu/apptainer/bin/starter; do
    patchelf --set-interpreter "$folder/lib/ld-linux-x86-64.so.2" --force-rpath \
      --set-rpath "$folder/lib" "$folder.new/usr/$program"
  done
}

main "$@"
