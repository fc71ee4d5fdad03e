# RetinaNet on the data that come with the project (make demo writes them): minutes on a CPU.
_base_ = [
    '../_base_/models/detection/retinanet_lite0.py',
    '../_base_/datasets/points/phantom.py',
    '../_base_/schedules/detection.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(max_epochs=8)
