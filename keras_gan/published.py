"""What the paper published, to be put beside what was measured."""

# Table 1 of the paper, as published: (mean, standard error; over folds for the faces).
PUBLISHED_MNIST = {
    "DBN (Bengio et al. 2013)": (138.0, 2.0),
    "Stacked CAE (Bengio et al. 2013)": (121.0, 1.6),
    "Deep GSN (Bengio et al. 2014)": (214.0, 1.1),
    "Adversarial nets (Goodfellow et al. 2014)": (225.0, 2.0),
}
PUBLISHED_FACES = {
    "DBN (Bengio et al. 2013)": (1909.0, 66.0),
    "Stacked CAE (Bengio et al. 2013)": (2110.0, 50.0),
    "Deep GSN (Bengio et al. 2014)": (1890.0, 29.0),
    "Adversarial nets (Goodfellow et al. 2014)": (2057.0, 26.0),
}
