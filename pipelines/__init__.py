"""Apache Beam preprocessing: from a source of images to the TFRecord folder that training reads."""
