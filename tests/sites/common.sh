# Sourced by slurm.sh and condor.sh: messages, deadlines, daemons, the ordinary user.
# shellcheck shell=bash

SITES=${BKGPIPE_SITES_DIR:-${TMPDIR:-/tmp}/bkgpipe-sites}
SITE_USER=${BKGPIPE_SITES_USER:-bkgpipe}
PROGRAM=tests/sites/$(basename "$0")
LOGS=()    # what die shows the ends of

say() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }

die() {
  say "error: $*"
  local log
  for log in ${LOGS[@]+"${LOGS[@]}"}; do
    [ -s "$log" ] || continue
    say "the last lines of $log:"
    tail -n 15 "$log" >&2
  done
  exit 1
}

# Refuse what cannot work, and let only one call at a time change this machine.
begin() {
  [ "$(id -u)" = 0 ] || die "must run as root, on a machine made for tests"
  case $SITES in *[!A-Za-z0-9_./-]* | [!/]*)
    die "BKGPIPE_SITES_DIR must be an absolute path of letters, digits and _.-, not '$SITES'" ;;
  esac
  umask 022
  mkdir -p "$SITES/bin"
  exec 9>"$SITES/lock"
  flock --wait 900 9 || die "another call holds $SITES/lock for 15 minutes"
}

# install_missing COMMAND=PACKAGE...: install the packages whose command is missing.
install_missing() {
  local pair missing=()
  for pair; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  LOGS=("$SITES/apt.log")
  local apt=(apt-get -o DPkg::Lock::Timeout=300 -qq -y --no-install-recommends)
  { "${apt[@]}" update && DEBIAN_FRONTEND=noninteractive "${apt[@]}" install "${missing[@]}"; } \
    9>&- >"$SITES/apt.log" 2>&1 || die "apt-get cannot install ${missing[*]}"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds, else die.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || die "$what did not come within its time"
    sleep 0.2
  done
}

# is_running NAME PIDFILE: a number in a file may by now be that of another program.
is_running() {
  local pid
  pid=$(cat "$2" 2>/dev/null) && [ -n "$pid" ] || return 1
  [ "$(cut -c 1-15 "/proc/$pid/comm" 2>/dev/null)" = "${1:0:15}" ] \
    && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null
}

is_stopped() { ! is_running "$@"; }

# start NAME PIDFILE COMMAND...: start a daemon unless it runs, without our lock.
start() {
  local name=$1 file=$2
  shift 2
  ! is_running "$name" "$file" || return 0
  rm -f "$file"
  "$@" 9>&- </dev/null || die "cannot start $name"
  wait_for 30 "$name" is_running "$name" "$file"
}

# stop NAME PIDFILE [SIGNAL]: ask it to end, and after 20 s make it.
stop() {
  local pid deadline=$((SECONDS + 20))
  if is_running "$1" "$2"; then
    pid=$(cat "$2")
    kill -s "${3:-TERM}" "$pid" || true
    while is_running "$1" "$2" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
    if is_running "$1" "$2"; then
      say "$1 did not end by itself and is killed"
      kill -s KILL "$pid" || true
    fi
    wait_for 10 "the end of $1" is_stopped "$1" "$2"
  fi
  rm -f "$2"
}

# The user whose jobs are not root's, and a command that runs others as that user.
make_user() {
  id "$SITE_USER" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$SITE_USER"
  cat >"$SITES/bin/site-user" <<C
#!/bin/sh
# Run a command as the ordinary user $SITE_USER, in the same folder and environment.
[ "\$(id -u)" = 0 ] || exec "\$@"
export HOME=$(getent passwd "$SITE_USER" | cut -d : -f 6) USER=$SITE_USER LOGNAME=$SITE_USER
exec setpriv --reuid=$SITE_USER --regid=$(id -g "$SITE_USER") --init-groups "\$@"
C
  chmod 755 "$SITES/bin/site-user"
}

as_user() { "$SITES/bin/site-user" "$@"; }

# What the jobs of the ordinary user must reach: the folder of the sites, this checkout,
# the interpreter that is found first (its environment, the prefix it was made from),
# and what BKGPIPE_SITES_PATHS names.
paths_of_jobs() {
  printf '%s\n' "$SITES"
  readlink -f "$(dirname "${BASH_SOURCE[0]}")/../.."
  python3 -c 'import sys; print(sys.prefix, sys.base_prefix, sep="\n")'
  tr ':' '\n' <<<"${BKGPIPE_SITES_PATHS:-}" | sed '/^$/d'
}

# Let the ordinary user pass (not read) the folders above these paths, as a home of
# root is closed to it. close_paths takes it back.
open_paths() {
  local path folder
  while read -r path; do
    [ -e "$path" ] || die "$path, which jobs need, does not exist"
    folder=
    while IFS= read -r -d / part; do
      folder+=$part/
      as_user test -x "$folder" && continue
      install_missing setfacl=acl
      setfacl --modify "u:$SITE_USER:--x" "$folder" \
        || die "cannot let $SITE_USER pass $folder"
      printf '%s\n' "$folder" >>"$SITES/opened"
    done <<<"$path/"
    as_user test -r "$path" || die "$SITE_USER cannot read $path, which its jobs need"
  done < <(paths_of_jobs)
}

# close_paths: unless another site is up.
close_paths() {
  ! compgen -G "$SITES/*/env.sh" >/dev/null || return 0
  [ -e "$SITES/opened" ] || return 0
  xargs -r -d '\n' setfacl --remove "u:$SITE_USER" <"$SITES/opened"
  rm "$SITES/opened"
}

# finish NAME LINE...: write the file that callers source, and say so.
finish() {
  local name=$1 file=$ROOT/env.sh
  shift
  {
    printf 'export BKGPIPE_SITES="${BKGPIPE_SITES:+$BKGPIPE_SITES }%s"\n' "$name"
    printf 'export BKGPIPE_SITES_USER=%s\n' "$SITE_USER"
    printf '%s\n' "$@"
  } >"$file"
  say "$name is up; to use it:"
  printf '. %s\n' "$file"
}

# already_up: tell so, and how to use it, when finish and the site's is_up say so.
already_up() {
  [ -e "$ROOT/env.sh" ] && is_up >/dev/null 2>&1 || return 1
  say "is up already; to use it:"
  printf '. %s\n' "$ROOT/env.sh"
}
