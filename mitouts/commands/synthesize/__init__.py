"""Make data sets with known truth: phantoms of fields, slides and tissue, and fields of AMi-Br crops."""
