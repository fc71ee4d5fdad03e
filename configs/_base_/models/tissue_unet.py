# MONAI's UNet on tiles of 512 px at 20x (0.5 um/px), five classes.
model = dict(
    type='TissueUNet',
    data_preprocessor=dict(type='PointDataPreprocessor', channels_last=True),
    num_classes=5,
    channels=(24, 48, 96, 192, 256),
    num_res_units=2,
    tile_px=512,
    loss=dict(type='TissueLoss', dice_weight=1.0, ce_weight=1.0),
)
