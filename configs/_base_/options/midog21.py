# Overrides of a stage: its config, on MIDOG21.
options = [f'{split}_dataloader.dataset.ann_file=data/midog21/{split}.json' for split in ('train', 'val', 'test')]
