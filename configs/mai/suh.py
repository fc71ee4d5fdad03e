# The paper's protocol for SUH: mitoses per counted tile over all tumour of a slide, against the pathologist's count.
# Tiles are 512 px at 20x and count from a mean tumour probability of 0.40; slides with less than 1.59 mm2 of them are
# excluded. Slides are resampled to the resolution that the checkpoint says it was trained at.
count = dict(
    # Columns slide and pathologist_mai; a column mpp where files do not say it.
    slides='data/suh/cohort.csv',
    checkpoint='work_dirs/uts_r18_tupac16/student/best.pth',
    tissue='work_dirs/unet_bcss/best.pth',
    # None is the checkpoint's own, chosen on TUPAC16's validation cases.
    threshold=None,
    roi_mm2=[1.59],
)
correlate = dict(x='pathologist_mai', y='mai', num_bootstrap=2000, seed=0)
paper = dict(slides=260, pearson=0.665, pearson_ci95=[0.564, 0.767], spearman=0.556, spearman_ci95=[0.454, 0.643])
