#!/bin/bash
# Pilots of one production as a job array of Slurm:
#
#   export SCHEDULER_HOST=machine-of-luigid CONFIG=$PWD/luigi.cfg
#   sbatch --array=1-20 pilot-slurm.sh
#
# Every pilot reads and writes the store and the output folder under the same paths.
# sacct shows exit code 0:0 when the production is done, 1:0 when something failed,
# 3:0 when the pilot had to leave before; then send the array again.

#SBATCH --job-name=bkgpipe-pilot
#SBATCH --array=1-3
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=02:00:00
#SBATCH --output=pilot-%A_%a.log

set -u

# One process for each CPU, so no library may start threads of its own
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

# Slurm 22.05 does not tell a job when it will be ended, as later ones do; its queue
# does. Where that says no date (NONE), the pilot has no limit.
if [ -z "${SLURM_JOB_END_TIME:-}" ]; then
    job=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
    end=$(squeue --noheader --jobs="$job" --format=%e)
    case $end in
        [0-9]*) SLURM_JOB_END_TIME=$(date --date="$end" +%s) && export SLURM_JOB_END_TIME ;;
    esac
fi

# exec: the pilot takes the place of this script, and hears the signals of Slurm itself.
# The margin has to be longer than the longest chunk takes (bkgpipe status, the report).
exec bkgpipe pilot \
    --config "${CONFIG:-luigi.cfg}" \
    --scheduler-host "${SCHEDULER_HOST:?name the machine of luigid}" \
    --scheduler-port "${SCHEDULER_PORT:-8082}" \
    --workers "${SLURM_CPUS_PER_TASK:-1}" \
    --margin "${MARGIN:-5 min}"
