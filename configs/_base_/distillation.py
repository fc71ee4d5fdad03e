# How a Teacher trained by this config judges its training images (tools/distill.py).
distillation = dict(
    criterion=dict(
        type='CentroidDisagreement', radius_px=30, policy='any_true', drop_image_errors=False, threshold_from='val'
    )
)
