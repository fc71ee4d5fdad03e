"""Hard samples go to a pathologist, and the labels come back better."""
