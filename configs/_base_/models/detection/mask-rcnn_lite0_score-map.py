# Mask R-CNN whose masks are cut from the score map of a Teacher, which is trained first (configs/wss). A config on this
# one names the Teacher of its own data.
_base_ = './mask-rcnn_lite0.py'

model = dict(
    masks=dict(
        _delete_=True,
        type='ScoreMapMasks',
        checkpoint='work_dirs/lite0_max_strong_amibr-fields/best.pth',
        max_radius_px=25,
        fallback_radius_px=15,
    ),
)
