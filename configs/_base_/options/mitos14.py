# Overrides of a stage: its config, on MITOS14.
options = [f'{split}_dataloader.dataset.ann_file=data/mitos14/{split}.json' for split in ('train', 'val', 'test')]
