#!/usr/bin/env bash
# Train under Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py ...]
# One process a GPU: GPUS (8) of them, GPUS_PER_NODE (8). On nodes without GPUs set TASKS instead, the number of
# processes. CPUS_PER_TASK (5) and SRUN_ARGS in the environment shape the job, too.
set -eu
[ $# -ge 4 ] || { echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py ...]" >&2; exit 2; }
partition=$1
job=$2
config=$3
work_dir=$4
shift 4
root=$(cd "$(dirname "$0")/.." && pwd)
python=$root/.venv/bin/python
[ -x "$python" ] || python=python
cpus=${CPUS_PER_TASK:-5}
if [ -n "${TASKS:-}" ]; then
  shape=("--ntasks=$TASKS")
  # mmengine would give each process one thread.
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$cpus} MKL_NUM_THREADS=${MKL_NUM_THREADS:-$cpus}
else
  per_node=${GPUS_PER_NODE:-8}
  shape=("--gres=gpu:$per_node" "--ntasks=${GPUS:-8}" "--ntasks-per-node=$per_node")
fi
# shellcheck disable=SC2086
exec srun -p "$partition" --job-name="$job" "${shape[@]}" --cpus-per-task="$cpus" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  "$python" -u "$root/tools/train.py" "$config" --work-dir "$work_dir" --launcher slurm "$@"
