#!/bin/bash
# Start or stop a Slurm of this machine alone, as root and without systemd: accounting
# in a MariaDB on a socket, two nodes of two CPUs. For tests; Debian bookworm or newer.
#   tests/sites/slurm.sh up      prints the line to source; does nothing when it is up
#   tests/sites/slurm.sh down    cancels its jobs and ends its daemons; keeps its folder
# BKGPIPE_SITES_DIR: where everything goes (default: bkgpipe-sites in the folder of
# temporary files). BKGPIPE_SITES_USER: an ordinary user (made when missing).
# BKGPIPE_SITES_PATHS: further paths, separated by ":", that the user must reach.
# BKGPIPE_SITES_PORT_OFFSET: added to its ports, where another Slurm has these (0).
set -euo pipefail
. "$(dirname "$0")/common.sh"

ROOT=$SITES/slurm
N_NODES=2
PORT_OFFSET=${BKGPIPE_SITES_PORT_OFFSET:-0}
export SLURM_CONF=$ROOT/etc/slurm.conf MYSQL_UNIX_PORT=$ROOT/mysql/socket
PATH=$PATH:/usr/sbin

write_slurm_conf() {
  local host
  host=$(hostname -s)
  cat >"$SLURM_CONF" <<C
ClusterName=bkgpipe
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$((6817 + PORT_OFFSET))
AuthType=auth/munge
AuthInfo=socket=$ROOT/munge/socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MpiDefault=none
# no control groups and no device is needed on a bare machine
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,sched_min_interval=100000,bf_interval=2,batch_sched_delay=0,default_queue_depth=1000
# a job over its time is told to end at once, and killed 5 s later
OverTimeLimit=0
KillWait=5
MinJobAge=300
MaxJobCount=20000
MaxArraySize=10001
# a node set down by hand stays down until it is resumed
ReturnToService=1
MailProg=/bin/true
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool.%n
SlurmctldPidFile=$ROOT/slurmctld.pid
SlurmdPidFile=$ROOT/slurmd.%n.pid
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/slurmd.%n.log
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((6819 + PORT_OFFSET))
AccountingStoragePass=$ROOT/munge/socket
# each node says it has two cores, whatever the machine has
SlurmdParameters=config_overrides
NodeName=n[1-$N_NODES] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((17001 + PORT_OFFSET))-$((17000 + N_NODES + PORT_OFFSET))] CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
C
}

write_slurmdbd_conf() {
  (
    umask 077
    cat >"$ROOT/etc/slurmdbd.conf" <<C
AuthType=auth/munge
AuthInfo=socket=$ROOT/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((6819 + PORT_OFFSET))
SlurmUser=root
LogFile=$ROOT/log/slurmdbd.log
PidFile=$ROOT/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
C
  )
}

start_munge() {
  LOGS=("$ROOT/log/munged.log")
  [ -s "$ROOT/munge/key" ] \
    || (umask 077 && head -c 1024 /dev/urandom >"$ROOT/munge/key")
  start munged "$ROOT/munge/munged.pid" munged --key-file="$ROOT/munge/key" \
    --socket="$ROOT/munge/socket" --pid-file="$ROOT/munge/munged.pid" \
    --log-file="$ROOT/log/munged.log" --seed-file="$ROOT/munge/seed"
  wait_for 20 "munge" munge --socket="$ROOT/munge/socket" --no-input
}

start_database() {
  LOGS=("$ROOT/log/mysql.log")
  local common=(--no-defaults --user=root "--datadir=$ROOT/mysql/data")
  [ -d "$ROOT/mysql/data/mysql" ] \
    || mariadb-install-db "${common[@]}" --skip-test-db \
      --auth-root-authentication-method=normal >"$ROOT/log/mysql.log" 2>&1 9>&- \
    || die "cannot make the database"
  start mariadbd "$ROOT/mysql/pid" setsid --fork mariadbd "${common[@]}" --skip-networking \
    "--socket=$MYSQL_UNIX_PORT" "--pid-file=$ROOT/mysql/pid" \
    --innodb-buffer-pool-size=128M --innodb-log-file-size=64M \
    --innodb-lock-wait-timeout=900 >>"$ROOT/log/mysql.log" 2>&1
  wait_for 60 "the database" mariadb --no-defaults -e "SELECT 1"
  mariadb --no-defaults -e "CREATE DATABASE IF NOT EXISTS slurm_acct_db"
}

has_cluster() { sacctmgr -n list cluster format=Cluster | grep -qw bkgpipe; }

start_accounting() {
  LOGS=("$ROOT/log/slurmdbd.log")
  start slurmdbd "$ROOT/slurmdbd.pid" slurmdbd
  wait_for 60 "slurmdbd" sacctmgr -n list cluster
  has_cluster || sacctmgr -i add cluster bkgpipe >/dev/null || die "sacctmgr cannot add the cluster"
}

nodes_are_up() {
  [ "$(sinfo -h -N -t idle,alloc,mix -o %N 2>/dev/null | sort -u | wc -l)" = "$N_NODES" ]
}

start_slurm() {
  LOGS=("$ROOT/log/slurmctld.log")
  start slurmctld "$ROOT/slurmctld.pid" slurmctld
  wait_for 30 "slurmctld" scontrol ping
  local i
  for i in $(seq "$N_NODES"); do
    LOGS+=("$ROOT/log/slurmd.n$i.log")
    start slurmd "$ROOT/slurmd.n$i.pid" slurmd -N "n$i"
  done
  nodes_are_up || scontrol update "nodename=n[1-$N_NODES]" state=resume 2>/dev/null || true
  wait_for 60 "the state 'idle' of $N_NODES nodes" nodes_are_up
}

is_up() {
  local i
  for i in $(seq "$N_NODES"); do is_running slurmd "$ROOT/slurmd.n$i.pid" || return 1; done
  has_cluster && nodes_are_up
}

up() {
  ! already_up || return 0
  install_missing slurmctld=slurmctld slurmd=slurmd sbatch=slurm-client \
    slurmdbd=slurmdbd munged=munge mariadbd=mariadb-server
  mkdir -p "$ROOT"/{etc,log,state,munge,mysql} $(seq -f "$ROOT/spool.n%.0f" "$N_NODES")
  chmod 700 "$ROOT"/{state,mysql}
  make_user
  open_paths
  write_slurmdbd_conf
  write_slurm_conf
  start_munge
  start_database
  start_accounting
  start_slurm
  finish slurm "export SLURM_CONF=$SLURM_CONF" "export PATH=$SITES/bin:\$PATH"
}

queue_is_empty() { [ -z "$(squeue -h -o %A)" ]; }

down() {
  if is_running slurmctld "$ROOT/slurmctld.pid"; then
    squeue -h -o %A | xargs -r scancel || true
    wait_for 60 "the end of its jobs" queue_is_empty
  fi
  rm -f "$ROOT/env.sh"
  local i
  for i in $(seq "$N_NODES"); do stop slurmd "$ROOT/slurmd.n$i.pid"; done
  stop slurmctld "$ROOT/slurmctld.pid"
  stop slurmdbd "$ROOT/slurmdbd.pid"
  stop mariadbd "$ROOT/mysql/pid"
  stop munged "$ROOT/munge/munged.pid"
  close_paths
  say "slurm is down"
}

case ${1:-} in
  up | down) begin; "$1" ;;
  *) die "call it with 'up' or 'down'" ;;
esac
