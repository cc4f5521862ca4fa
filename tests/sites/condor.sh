#!/bin/bash
# Start or stop an HTCondor of this machine alone, as root and without systemd, with
# four slots. For tests; Debian bookworm, which has no HTCondor, on x86-64 or arm64.
#   tests/sites/condor.sh up     prints the line to source; does nothing when it is up
#   tests/sites/condor.sh down   removes its jobs and ends its daemons; keeps its folder
# HTCondor and the libraries it needs are taken from a newer Debian and unpacked in a
# folder; its programs are pointed at these libraries. So they run in the file system
# of this machine, and so do the jobs: with its interpreters, paths and mounts.
# BKGPIPE_SITES_DIR: where everything goes (default: bkgpipe-sites in the folder of
# temporary files). BKGPIPE_SITES_USER: the ordinary user (made when missing) that
# submits, as HTCondor refuses root; condor_submit and the others change to it.
# BKGPIPE_SITES_PATHS: further paths, separated by ":", that the user must reach.
# BKGPIPE_SITES_PORT_OFFSET: added to its port, where another HTCondor has it (0).
# BKGPIPE_SITES_SUITE: the Debian release HTCondor is taken from (trixie).
set -euo pipefail
. "$(dirname "$0")/common.sh"

ROOT=$SITES/htcondor
DEBIAN=$ROOT/debian    # what was unpacked
SUITE=${BKGPIPE_SITES_SUITE:-trixie}
PORT_OFFSET=${BKGPIPE_SITES_PORT_OFFSET:-0}
COMMANDS=(condor_submit condor_q condor_rm condor_hold condor_release condor_history
  condor_status condor_config_val condor_version condor_wait)
export CONDOR_CONFIG=$ROOT/condor_config

# Download HTCondor and all it depends on, as if nothing were installed, with an apt
# of its own: the lists and the state of this machine stay as they are.
download() {
  local site folder=$1
  site=$(apt-get indextargets --format '$(SITE)' 'Label: Debian' 'Created-By: Packages' | head -n 1)
  [ -n "$site" ] || die "apt knows no Debian mirror: set one and call 'apt-get update'"
  mkdir -p "$folder"/{lists/partial,archives/partial}
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
    "$site" "$SUITE" >"$folder/sources.list"
  local own=(-o "Dir::State=$folder" -o Dir::State::status=/dev/null -o "Dir::Cache=$folder"
    -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o APT::Sandbox::User=root -o Acquire::Languages=none)
  { apt-get "${own[@]}" -qq update \
    && apt-get "${own[@]}" -qq -y --no-install-recommends --download-only install condor; } \
    9>&- >"$ROOT/log/download.log" 2>&1 || die "cannot download HTCondor of $SUITE"
}

# Let each program find the loader and the libraries it was made with. RPATH, not
# RUNPATH: it also holds for the libraries of the libraries.
relocate() {
  local folder=$1 loader program
  loader=$(find "$folder/usr/lib" -path '*-linux-gnu/ld-linux-*' | head -n 1)
  [ -n "$loader" ] || die "the loader is not in the packages of $SUITE"
  loader=$DEBIAN${loader#"$folder"}
  find "$folder"/usr/{bin,sbin,libexec/condor} -type f -executable -name '*condor*' \
    | while read -r program; do
      [ "$(head -c 4 "$program" | tail -c 3)" = ELF ] || continue
      patchelf --set-interpreter "$loader" --force-rpath \
        --set-rpath "$(dirname "$loader"):$DEBIAN/usr/lib" "$program" \
        || die "patchelf cannot change $program"
    done
}

unpack() {
  [ ! -x "$DEBIAN/usr/sbin/condor_master" ] || return 0
  install_missing patchelf=patchelf
  LOGS=("$ROOT/log/download.log")
  say "unpacking HTCondor of $SUITE"
  rm -rf "$ROOT/download" "$DEBIAN" "$DEBIAN.new"
  mkdir "$ROOT/download" "$DEBIAN.new"
  download "$ROOT/download"
  local package
  for package in "$ROOT"/download/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" \
      | tar -x -C "$DEBIAN.new" --no-same-owner --keep-directory-symlink \
      || die "cannot unpack $package"
  done
  relocate "$DEBIAN.new"
  mv "$DEBIAN.new" "$DEBIAN"
  rm -rf "$ROOT/download"
}

make_condor_user() {
  id condor >/dev/null 2>&1 \
    || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin condor
}

write_config() {
  cat >"$CONDOR_CONFIG" <<C
RELEASE_DIR = $DEBIAN/usr
BIN = \$(RELEASE_DIR)/bin
SBIN = \$(RELEASE_DIR)/sbin
LIB = \$(RELEASE_DIR)/lib/condor
LIBEXEC = \$(RELEASE_DIR)/libexec/condor
SHARE = \$(RELEASE_DIR)/share/condor
LOCAL_DIR = $ROOT
LOG = $ROOT/log
RUN = $ROOT/run
LOCK = $ROOT/lock
SPOOL = $ROOT/spool
EXECUTE = $ROOT/execute
PROCD_ADDRESS = $ROOT/run/procd
CONDOR_IDS = $(id -u condor).$(id -g condor)
REQUIRE_LOCAL_CONFIG_FILE = False
ENABLE_KERNEL_TUNING = False
MAIL = /bin/true

use ROLE: CentralManager
use ROLE: Submit
use ROLE: Execute
CONDOR_HOST = 127.0.0.1
BIND_ALL_INTERFACES = False
NETWORK_INTERFACE = 127.0.0.1
COLLECTOR_PORT = $((9618 + PORT_OFFSET))
UID_DOMAIN = bkgpipe.test
FILESYSTEM_DOMAIN = bkgpipe.test
TRUST_UID_DOMAIN = True
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = FS
ALLOW_READ = *
ALLOW_WRITE = *
ALLOW_DAEMON = root@\$(UID_DOMAIN) condor@\$(UID_DOMAIN)
ALLOW_NEGOTIATOR = \$(ALLOW_DAEMON)
ALLOW_ADMINISTRATOR = \$(ALLOW_DAEMON)

# four slots, whatever the machine has, and never a reason to wait
NUM_CPUS = 4
MEMORY = 8000
NUM_SLOTS = 4
NUM_SLOTS_TYPE_1 = 4
SLOT_TYPE_1 = cpus=1, mem=25%, disk=25%
START = True
SUSPEND = False
PREEMPT = False
KILL = True
MachineMaxVacateTime = 5
RUNBENCHMARKS = 0
SCHEDD_INTERVAL = 2
SCHEDD_MIN_INTERVAL = 1
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
UPDATE_INTERVAL = 5

# no control groups, name spaces or folders of its own: jobs see this machine
BASE_CGROUP =
USE_PID_NAMESPACES = False
MOUNT_UNDER_SCRATCH =
MOUNT_PRIVATE_DEV_SHM = False
DISCARD_SESSION_KEYRING_ON_STARTUP = False
C
}

# The commands by name, for root as the ordinary user.
write_commands() {
  local name
  for name in "${COMMANDS[@]}"; do
    cat >"$SITES/bin/$name" <<C
#!/bin/sh
export CONDOR_CONFIG=$CONDOR_CONFIG
exec $SITES/bin/site-user $DEBIAN/usr/bin/$name "\$@"
C
    chmod 755 "$SITES/bin/$name"
  done
}

slots_are_up() {
  [ "$("$SITES/bin/condor_status" -af Name | wc -l)" = 4 ] && "$SITES/bin/condor_q"
}

is_up() { is_running condor_master "$ROOT/run/master.pid" && slots_are_up; }

up() {
  ! already_up || return 0
  mkdir -p "$ROOT"/{log,run,lock,spool,execute}
  make_user
  make_condor_user
  open_paths
  unpack
  chown condor:condor "$ROOT"/{log,run,lock,spool,execute}
  chmod 1777 "$ROOT/execute"
  write_config
  write_commands
  LOGS=("$ROOT"/log/{Master,Collector,Schedd,Startd}Log)
  start condor_master "$ROOT/run/master.pid" \
    "$DEBIAN/usr/sbin/condor_master" -pidfile "$ROOT/run/master.pid"
  wait_for 60 "4 slots and a queue" slots_are_up
  finish htcondor "export CONDOR_CONFIG=$CONDOR_CONFIG" "export PATH=$SITES/bin:\$PATH"
}

down() {
  if is_running condor_master "$ROOT/run/master.pid"; then
    "$DEBIAN/usr/bin/condor_rm" -all >/dev/null 2>&1 || true
  fi
  rm -f "$ROOT/env.sh"
  stop condor_master "$ROOT/run/master.pid" QUIT
  close_paths
  say "htcondor is down"
}

case ${1:-} in
  up | down) begin; "$1" ;;
  *) die "call it with 'up' or 'down'" ;;
esac
