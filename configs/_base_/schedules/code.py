# The authors' code: Adam, 10 epochs by default. Of the two public states of its main.py one has 10 and the other 40, as
# the text: train_cfg.max_epochs=40.
_base_ = './paper.py'

train_cfg = dict(max_epochs=10)
