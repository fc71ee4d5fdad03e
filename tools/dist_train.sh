#!/usr/bin/env bash
# Train on several processes of one machine: tools/dist_train.sh CONFIG PROCESSES [arguments of train.py ...]
# NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment spread it over several machines.
set -eu
[ $# -ge 2 ] || { echo "usage: $0 CONFIG PROCESSES [arguments of train.py ...]" >&2; exit 2; }
config=$1
processes=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
python=$root/.venv/bin/python
[ -x "$python" ] || python=python
exec "$python" -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$processes" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
  "$root/tools/train.py" "$config" --launcher pytorch "$@"
