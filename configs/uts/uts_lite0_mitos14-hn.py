# Look-alikes as positives (they are the noise), tested on clean labels: distillation, all of the data, and the oracle
# that drops exactly the noise.
_base_ = './uts_lite0_phantom-arms.py'

data = 'mitos14-hn'
stages = [stage for stage in _base_.stages if stage['name'] != 'ema']
