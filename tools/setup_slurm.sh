#!/usr/bin/env bash
# Find the Slurm that tests/slurm starts a cluster of, or install Debian's: tools/setup_slurm.sh
# Prints what was found, with status 0, or why the tests cannot run here, with status 1.
set -u

find_slurm() {
  local program
  for program in munged slurmctld slurmd sbatch srun scontrol; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || return 1
  done
}

if [ "$(id -u)" -ne 0 ]; then
  echo 'no Slurm: the daemons of the tests run as root'
  exit 1
elif find_slurm; then
  found='Slurm of the tests'
elif [ -d /run/systemd/system ]; then
  # There the packages would become services of the machine, from its next start on.
  echo "no Slurm: install it with 'apt-get install slurm-wlm munge'"
  exit 1
elif bash tools/install_debian.sh slurm-wlm munge && find_slurm; then
  found='Slurm of the tests, just installed'
else
  echo "no Slurm, and Debian's slurm-wlm and munge cannot be installed here"
  exit 1
fi
echo "$found: $(PATH=$PATH:/usr/sbin slurmd -V)"
