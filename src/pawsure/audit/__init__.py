"""What is wrong with a set of pictures: files, copies, labels, outliers."""
