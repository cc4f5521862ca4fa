#!/bin/bash
# Run a command while a Slurm and an HTCondor of this machine are up, and stop both after:
#   tests/sites/with_sites.sh COMMAND...
# As root on Debian. The variables of slurm.sh and condor.sh count here too.
set -euo pipefail
here=$(dirname "$0")

stop() {
  "$here/condor.sh" down || true
  "$here/slurm.sh" down || true
}
trap stop EXIT

for site in slurm condor; do
  # the last line that it prints is the file to source
  line=$("$here/$site.sh" up | tee /dev/stderr | tail -n 1)
  . "${line#. }"
done
"$@"
