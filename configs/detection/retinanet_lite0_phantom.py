# Fewer epochs, on the data that come with the project (make demo writes them): minutes on a CPU.
_base_ = './retinanet_lite0.py'

data = 'phantom'
train_cfg = dict(max_epochs=8)
